#pragma once
// Inputs, rates and the ceiling of the benchmarks on the CPU.

#include <benchmark/benchmark.h>

#include "weft/ops/ops.h"

#include "peak.h"

namespace weft::bench {

/// The CPU's operations on all threads of OMP_NUM_THREADS.
Ops& ops();
/// Measured once.
const Peak& peak();

/// Uniform in [-1, 1], the same in every call.
Tensor random_tensor(const Shape& shape);

/// Rates of what one iteration does, and their share of the peak.
void report_flops(benchmark::State& state, double flops);
void report_bytes(benchmark::State& state, double bytes);
/// Every tensor read or written once; one that is changed in place is named twice.
void report_bytes(benchmark::State& state, std::initializer_list<Tensor> moved);

/// For Benchmark::Apply: one thread is timed by its own processor time, which other load on the
/// machine hardly changes; several threads by the wall clock.
void choose_clock(benchmark::internal::Benchmark* b);

}  // namespace weft::bench
