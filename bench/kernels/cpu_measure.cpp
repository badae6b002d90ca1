#include "cpu_measure.h"

#include <random>

#include <omp.h>

namespace weft::bench {

Ops& ops() {
  static const auto instance = make_cpu_ops(omp_get_max_threads());
  return *instance;
}

const Peak& peak() {
  static const Peak measured = measure_peak(omp_get_max_threads());
  return measured;
}

Tensor random_tensor(const Shape& shape) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Tensor x = Tensor::empty(shape);
  for (float& value : x.span()) value = uniform(engine);
  return x;
}

void report_flops(benchmark::State& state, double flops) {
  const double total = flops * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(total / 1e9, benchmark::Counter::kIsRate);
  state.counters["percent_of_peak"] =
      benchmark::Counter(total / 1e9 / peak().gflops * 100, benchmark::Counter::kIsRate);
}

void report_bytes(benchmark::State& state, double bytes) {
  const double total = bytes * static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(total / 1e9, benchmark::Counter::kIsRate);
  state.counters["percent_of_stream"] =
      benchmark::Counter(total / 1e9 / peak().gbytes * 100, benchmark::Counter::kIsRate);
}

void report_bytes(benchmark::State& state, std::initializer_list<Tensor> moved) {
  double bytes = 0;
  for (const Tensor& t : moved) bytes += static_cast<double>(t.bytes());
  report_bytes(state, bytes);
}

void choose_clock(benchmark::internal::Benchmark* b) {
  if (omp_get_max_threads() > 1) b->UseRealTime();
}

}  // namespace weft::bench
