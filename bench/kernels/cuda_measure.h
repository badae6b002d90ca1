#pragma once
// Inputs, clock and ceilings of the benchmarks on CUDA.

#include <array>
#include <functional>
#include <tuple>
#include <vector>

#include <benchmark/benchmark.h>

#include "weft/ops/ops.h"

namespace weft::bench {

/// The backend of a precision; all share one device and its memory. Throws where there is none.
Ops& cuda_ops(Precision precision = Precision::bf16);

/// What the device can do at most.
struct Ceilings {
  double matmul_tflops = 0;  // bf16 matrices of 8192 x 8192 by cuBLASLt
  double copy_gbytes = 0;    // 4 GB copied on the device, per second: read + written
  double bus_gbytes = 0;     // from pinned host memory, per second
};
const Ceilings& ceilings();

/// Unit normals on the device, of another part of one random sequence in every call.
Tensor random_values(const Shape& shape, DType type = DType::bf16);
/// A tensor on the device for an output.
Tensor space(const Shape& shape, DType type = DType::bf16);

/// The tensors of one call.
template <std::size_t N>
using Set = std::array<Tensor, N>;

/// How many sets of so many bytes a call has to go through to find none of them in the L2 cache.
std::size_t sets_beyond_cache(std::size_t bytes);

/// As many sets made by `make` as that takes.
template <class Make>
auto rotated(Make make) {
  std::vector sets{make()};
  std::size_t bytes = 0;
  for (const Tensor& t : sets.front()) bytes += t.bytes();
  const std::size_t count = sets_beyond_cache(bytes);
  while (sets.size() < count) sets.push_back(make());
  return sets;
}

/// For Benchmark::Apply: time is what SetIterationTime() says, shown in microseconds.
void by_events(benchmark::internal::Benchmark* b);

/// Runs the benchmark on call(i), i = 0, 1, ...: GPU time of calls queued one behind the other, as
/// in a render. Every i below `sets` is called once before. A failure becomes the case's result.
void time_calls(benchmark::State& state, std::size_t sets,
                const std::function<void(std::size_t)>& call);

/// The same of call(tensors of a set...), the sets taking turns.
template <std::size_t N, class Call>
void time_calls(benchmark::State& state, const std::vector<Set<N>>& sets, Call call) {
  time_calls(state, sets.size(), [&](std::size_t i) { std::apply(call, sets[i % sets.size()]); });
}

/// Rates of what one call does, and their share of the ceiling.
void report_flops(benchmark::State& state, double flops);
/// Every input read once and every output written once; a tensor changed in place is named twice.
void report_bytes(benchmark::State& state, std::initializer_list<Tensor> moved);
/// Bytes that come from the host.
void report_host_bytes(benchmark::State& state, const Tensor& host);

}  // namespace weft::bench
