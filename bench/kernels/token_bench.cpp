// The transformer's operations beside matmul and attention, at the sizes of a 480x832x81 clip on
// the 1.3B model: 32760 tokens, width 1536, 12 heads.
#include <cmath>

#include "cpu_measure.h"

namespace weft::bench {
namespace {

constexpr std::int64_t tokens = 32760, width = 1536, heads = 12;
const Shape latent_shape{16, 21, 60, 104};

void linear_group(benchmark::State& state) {
  const std::int64_t rows = 4096;
  const Tensor x = random_tensor({rows, width});
  std::vector<Tensor> w, b, y;
  for (int i = 0; i < 3; ++i) {
    w.push_back(random_tensor({width, width}));
    b.push_back(random_tensor({width}));
    y.push_back(Tensor::empty({rows, width}));
  }
  ops().linear_group(x, w, b, y);  // packs the weights once
  for (auto _ : state) ops().linear_group(x, w, b, y);
  report_flops(state, 3 * 2.0 * static_cast<double>(rows * width * width));
}

void residual_layer_norm(benchmark::State& state) {
  const Tensor x = random_tensor({tokens, width}), y = random_tensor({tokens, width});
  const TokenRows row{random_tensor({1, width}), 0};
  const Tensor h = Tensor::empty(x.shape());
  for (auto _ : state) ops().residual_layer_norm(x, y, row, row, row, 1e-6F, h);
  report_bytes(state, {x, x, y, h});
}

void rms_norm(benchmark::State& state) {
  const Tensor x = random_tensor({512, 4096}), w = random_tensor({4096});  // the text encoder's
  const Tensor y = Tensor::empty(x.shape());
  for (auto _ : state) ops().rms_norm(x, w, 1e-6F, y);
  report_bytes(state, {x, y});
}

void add(benchmark::State& state) {
  const Tensor x = Tensor::zeros({tokens, width}), y = Tensor::zeros({tokens, width});
  for (auto _ : state) ops().add(x, y);
  report_bytes(state, {x, x, y});
}

void silu(benchmark::State& state) {
  const Tensor x = random_tensor({tokens, width}), y = Tensor::empty(x.shape());
  for (auto _ : state) ops().silu(x, y);
  report_bytes(state, {x, y});
}

void merge_attention(benchmark::State& state) {
  const Shape shape{tokens / 2, heads, width / heads};
  const Tensor out = random_tensor(shape), part = random_tensor(shape);
  const Tensor lse = Tensor::zeros({heads, tokens / 2}), part_lse = Tensor::zeros(lse.shape());
  for (auto _ : state) ops().merge_attention(out, lse, part, part_lse);
  report_bytes(state, {out, out, part, lse, lse, part_lse});
}

void patchify(benchmark::State& state) {
  const Tensor z = random_tensor(latent_shape), y = Tensor::empty({tokens, 64});
  for (auto _ : state) ops().patchify(z, y);
  report_bytes(state, {z, y});
}

void unpatchify(benchmark::State& state) {
  const Tensor y = random_tensor({tokens, 64}), z = Tensor::empty(latent_shape);
  for (auto _ : state) ops().unpatchify(y, z);
  report_bytes(state, {y, z});
}

void combine(benchmark::State& state) {  // a step of the solver
  std::vector<Term> terms;
  for (std::int64_t i = 0; i < state.range(0); ++i)
    terms.push_back({0.5F, random_tensor(latent_shape)});
  const Tensor out = Tensor::empty(latent_shape);
  for (auto _ : state) ops().combine(terms, out);
  report_bytes(state, static_cast<double>(out.bytes()) * static_cast<double>(terms.size() + 1));
}

void all_finite(benchmark::State& state) {
  const Tensor x = random_tensor(latent_shape);
  for (auto _ : state) {
    const bool finite = ops().all_finite(x);
    benchmark::DoNotOptimize(finite);
  }
  report_bytes(state, {x});
}

void add_weighted(benchmark::State& state) {  // a quarter of a window's columns
  const Tensor sum = random_tensor(latent_shape), part = random_tensor({16, 21, 60, 26});
  const std::array<std::int64_t, 3> origin{0, 0, 78};
  const std::vector<float> wt(21, 1.F), wh(60, 1.F), ww(26, 0.5F);
  for (auto _ : state) ops().add_weighted(sum, part, origin, wt, wh, ww);
  report_bytes(state, {part, part, part});
}

BENCHMARK(linear_group)->Apply(choose_clock);
BENCHMARK(residual_layer_norm)->Apply(choose_clock);
BENCHMARK(rms_norm)->Apply(choose_clock);
BENCHMARK(add)->Apply(choose_clock);
BENCHMARK(silu)->Apply(choose_clock);
BENCHMARK(merge_attention)->Apply(choose_clock);
BENCHMARK(patchify)->Apply(choose_clock);
BENCHMARK(unpatchify)->Apply(choose_clock);
BENCHMARK(combine)->ArgName("terms")->Arg(2)->Arg(6)->Apply(choose_clock);
BENCHMARK(all_finite)->Apply(choose_clock);
BENCHMARK(add_weighted)->Apply(choose_clock);

}  // namespace
}  // namespace weft::bench
