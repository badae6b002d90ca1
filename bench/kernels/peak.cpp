#include "peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "simd.h"

namespace weft::bench {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double fma_gflops(int threads) {
  constexpr int chains = 12;  // more than latency x units of any x86-64 core needs
  constexpr int rounds = 2'000'000;
  const auto start = std::chrono::steady_clock::now();
  float sink = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sink)
  {
    cpu::Vec sum[chains];
    for (int i = 0; i < chains; ++i) sum[i] = cpu::broadcast(static_cast<float>(i));
    cpu::Vec factor = cpu::broadcast(0.5F);
    for (int i = 0; i < rounds; ++i) {
      asm volatile("" : "+v"(factor));  // keeps the loop from being computed beforehand
      for (auto& s : sum) s = cpu::fma(s, factor, factor);
    }
    for (const auto& s : sum) sink += s[0];
  }
  asm volatile("" : : "g"(&sink) : "memory");
  return 2.0 * cpu::lanes * chains * rounds * threads / seconds_since(start) / 1e9;
}

double stream_gbytes(int threads) {
  constexpr std::int64_t count = 32 << 20;
  static std::vector<float> a(count), b(count, 1.F), c(count, 2.F);
  const auto start = std::chrono::steady_clock::now();
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    a[at] = b[at] + c[at];
  }
  asm volatile("" : : "g"(a.data()) : "memory");
  return 3.0 * sizeof(float) * count / seconds_since(start) / 1e9;
}

}  // namespace

Peak measure_peak(int threads) {
  Peak best{0, 0};
  for (int i = 0; i < 10; ++i) {
    best.gflops = std::max(best.gflops, fma_gflops(threads));
    best.gbytes = std::max(best.gbytes, stream_gbytes(threads));
  }
  return best;
}

}  // namespace weft::bench
