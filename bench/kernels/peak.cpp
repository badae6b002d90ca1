#include "peak.h"

#include <algorithm>
#include <ctime>
#include <vector>

#include "simd.h"

namespace weft::bench {
namespace {

/// Processor time of the calling thread: other programs on the machine do not count.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double fma_gflops(int threads) {
  constexpr int chains = 12;  // more than latency x units of any x86-64 core needs
  constexpr int rounds = 2'000'000;
  double rate = 0;
#pragma omp parallel num_threads(threads) reduction(+ : rate)
  {
    cpu::Vec sum[chains];
    for (int i = 0; i < chains; ++i) sum[i] = cpu::broadcast(static_cast<float>(i));
    const cpu::Vec factor = cpu::broadcast(0.5F);
    const double start = thread_seconds();
    for (int i = 0; i < rounds; ++i) {
      for (auto& s : sum) s = cpu::fma(s, factor, factor);
    }
    // Every lane of every chain is looked at, so that none may be left out.
    cpu::Vec total{};
    for (const auto& s : sum) total += s;
    [[maybe_unused]] volatile float sink[cpu::lanes];
    for (int i = 0; i < cpu::lanes; ++i) sink[i] = total[i];
    rate += 2.0 * cpu::lanes * chains * rounds / (thread_seconds() - start) / 1e9;
  }
  return rate;
}

double stream_gbytes(int threads) {
  constexpr std::int64_t count = 32 << 20;
  static std::vector<float> a(count), b(count, 1.F), c(count, 2.F);
  double rate = 0;
#pragma omp parallel num_threads(threads) reduction(+ : rate)
  {
    const double start = thread_seconds();
#pragma omp for schedule(static) nowait
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      a[at] = b[at] + c[at];
    }
    asm volatile("" : : "g"(a.data()) : "memory");
    rate += 3.0 * sizeof(float) * count / threads / (thread_seconds() - start) / 1e9;
  }
  return rate;
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
