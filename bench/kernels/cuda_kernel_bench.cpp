// Speed of the CUDA operations at sizes of the real models, as a share of what this GPU can do: the
// transformer's, and the program. The autoencoder's are in cuda_video_bench.cpp.
#include <cmath>

#include "weft/device/device_api.h"

#include "attention_cudnn.h"
#include "attention_hopper.h"
#include "cuda_measure.h"
#include "merge_key.h"
#include "quantize.h"

namespace weft::bench {
namespace {

constexpr float eps = 1e-6F;

Tensor ones(std::int64_t count) {
  return Tensor::from(std::vector<float>(static_cast<std::size_t>(count), 1.F), {count})
      .to(DeviceKind::cuda);
}

/// A norm's or a gate's parameters, the same for every token.
Tensor random_row(std::int64_t width) { return random_values({1, width}, DType::f32); }

// ---- dense -------------------------------------------------------------------------------------

void linear(benchmark::State& state, Precision precision, Activation act) {
  const std::int64_t rows = state.range(0), depth = state.range(1), outputs = state.range(2);
  const auto sets = rotated([&] {
    const Tensor w = random_values({outputs, depth});
    w.storage()->reducible = true;
    return Set<4>{random_values({rows, depth}), w, random_values({outputs}),
                  space({rows, outputs})};
  });
  time_calls(state, sets, [&](auto& x, auto& w, auto& b, auto& y) {
    cuda_ops(precision).linear(x, w, b, y, act);
  });
  report_flops(state, 2. * static_cast<double>(rows * depth * outputs));
}

/// Time embeddings: float32 rows by bf16 weights, which are all that takes time.
void linear_few_rows(benchmark::State& state) {
  const std::int64_t rows = state.range(0), depth = state.range(1), outputs = state.range(2);
  const auto sets = rotated([&] {
    return Set<4>{random_values({rows, depth}, DType::f32), random_values({outputs, depth}),
                  random_values({outputs}), space({rows, outputs}, DType::f32)};
  });
  time_calls(state, sets,
             [](auto& x, auto& w, auto& b, auto& y) { cuda_ops().linear(x, w, b, y); });
  const auto& [x, w, b, y] = sets.front();
  report_bytes(state, {x, w, b, y});
}

/// q, k and v of a layer.
void linear_group(benchmark::State& state, Precision precision) {
  const std::int64_t rows = state.range(0), width = state.range(1);
  const auto sets = rotated([&] {
    const Tensor w = random_values({3, width, width});
    w.storage()->reducible = true;
    return Set<4>{random_values({rows, width}), w, random_values({3, width}),
                  space({3, rows, width})};
  });
  const auto parts = [](const Tensor& all, const Shape& shape) {
    return std::array{all.slice(0, 1).reshape(shape), all.slice(1, 2).reshape(shape),
                      all.slice(2, 3).reshape(shape)};
  };
  time_calls(state, sets, [&](auto& x, auto& w, auto& b, auto& y) {
    cuda_ops(precision).linear_group(x, parts(w, {width, width}), parts(b, {width}),
                                     parts(y, {rows, width}));
  });
  report_flops(state, 3. * 2 * static_cast<double>(rows * width * width));
}

void quantize_rows(benchmark::State& state) {
  const std::int64_t rows = state.range(0), width = state.range(1);
  const auto sets = rotated([&] { return Set<1>{random_values({rows, width})}; });
  time_calls(state, sets, [](auto& x) { cuda::quantize_rows(x); });
  const Tensor& x = sets.front()[0];
  const cuda::Quantized made = cuda::quantize_rows(x);
  report_bytes(state, {x, made.values, made.scale});
}

// ---- attention ---------------------------------------------------------------------------------

using AttentionKernel = void (*)(const Tensor& q, const Tensor& k, const Tensor& v,
                                 const AttentionArgs& args, const Tensor& out);

cuda::CudnnAttention& cudnn_attention() {
  static cuda::CudnnAttention instance;
  return instance;
}

void attention_chosen(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                      const Tensor& out) {
  cuda_ops().attention(q, k, v, args, out);
}

void attention_hopper(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                      const Tensor& out) {
  if (!cuda::attention_hopper_fits(q, k, args)) fail("not a case for the Hopper kernel");
  cuda::attention_hopper(q, k, v, args, out);
}

/// A last key with a logit of its own is what cuDNN cannot do; it is merged in afterwards.
void attention_cudnn(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                     const Tensor& out) {
  const std::int64_t keys = k.dim(0);
  const bool merged = args.last_key_logit != 0;
  const std::int64_t plain = merged ? keys - 1 : keys;
  const Tensor lse = merged ? space({q.dim(1), q.dim(0)}, DType::f32) : Tensor{};
  if (!cudnn_attention().run(q, k.slice(0, plain), v.slice(0, plain), args.scale, lse, out)) {
    fail("cuDNN has no attention of this shape");
  }
  if (merged) {
    cuda::merge_key(q, k.slice(plain, keys), v.slice(plain, keys), args.scale, args.last_key_logit,
                    lse, out);
  }
}

void attention_fp8(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                   const Tensor& out) {
  Ops& ops = cuda_ops(Precision::fp8);
  // Else Ops would take bf16 without a word.
  if (!cudnn_attention().has_fp8(q.shape(), args.scale)) fail("cuDNN has no fp8 attention of this");
  ops.attention(q, k, v, args, out);
}

void attention(benchmark::State& state, AttentionKernel kernel) {
  const std::int64_t queries = state.range(0), keys = state.range(1), heads = state.range(2),
                     width = state.range(3);
  AttentionArgs args;
  args.scale = 1 / std::sqrt(static_cast<float>(width));
  args.last_key_logit = std::log(static_cast<float>(state.range(4)));
  const auto sets = rotated([&] {
    return Set<4>{random_values({queries, heads, width}), random_values({keys, heads, width}),
                  random_values({keys, heads, width}), space({queries, heads, width})};
  });
  time_calls(state, sets,
             [&](auto& q, auto& k, auto& v, auto& out) { kernel(q, k, v, args, out); });
  report_flops(state, 4. * static_cast<double>(queries * keys * heads * width));
}

// ---- the transformer's other operations --------------------------------------------------------

void layer_norm(benchmark::State& state) {
  const std::int64_t rows = state.range(0), width = state.range(1);
  const Tensor weight = random_row(width), bias = random_row(width);
  const auto sets = rotated([&] {
    return Set<2>{random_values({rows, width}), space({rows, width})};
  });
  time_calls(state, sets,
             [&](auto& x, auto& y) { cuda_ops().layer_norm(x, {weight}, {bias}, eps, y); });
  const auto& [x, y] = sets.front();
  report_bytes(state, {x, weight, bias, y});
}

void residual_layer_norm(benchmark::State& state) {
  const std::int64_t rows = state.range(0), width = state.range(1);
  const Tensor gate = random_row(width), weight = random_row(width), bias = random_row(width);
  const auto sets = rotated([&] {
    return Set<3>{random_values({rows, width}), random_values({rows, width}), space({rows, width})};
  });
  time_calls(state, sets, [&](auto& x, auto& y, auto& h) {
    cuda_ops().residual_layer_norm(x, y, {gate}, {weight}, {bias}, eps, h);
  });
  const auto& [x, y, h] = sets.front();
  report_bytes(state, {x, x, y, gate, weight, bias, h});
}

/// In place, as the model calls it. Weights of 1: what is normed again and again stays normal.
void rms_norm(benchmark::State& state) {
  const std::int64_t rows = state.range(0), width = state.range(1);
  const Tensor w = ones(width);
  const auto sets = rotated([&] { return Set<1>{random_values({rows, width})}; });
  time_calls(state, sets, [&](auto& x) { cuda_ops().rms_norm(x, w, eps, x); });
  const Tensor& x = sets.front()[0];
  report_bytes(state, {x, w, x});
}

void rms_norm_rope(benchmark::State& state) {
  constexpr std::int64_t pairs = 64;  // of a head
  const std::int64_t rows = state.range(0), width = state.range(1);
  const Tensor w = ones(width);
  const auto sets = rotated([&] {
    return Set<3>{random_values({rows, width}), random_values({rows, pairs}, DType::f32),
                  random_values({rows, pairs}, DType::f32)};
  });
  time_calls(state, sets, [&](auto& x, auto& cos, auto& sin) {
    cuda_ops().rms_norm_rope(x, w, eps, cos, sin, x);
  });
  const auto& [x, cos, sin] = sets.front();
  report_bytes(state, {x, w, cos, sin, x});
}

void gated_gelu(benchmark::State& state) {
  const Shape shape{state.range(0), state.range(1)};
  const auto sets = rotated([&] {
    return Set<3>{random_values(shape), random_values(shape), space(shape)};
  });
  time_calls(state, sets, [](auto& a, auto& b, auto& y) { cuda_ops().gated_gelu(a, b, y); });
  const auto& [a, b, y] = sets.front();
  report_bytes(state, {a, b, y});
}

/// Shapes of latents and of their tokens.
struct Patches {
  Shape latents, tokens;
  explicit Patches(const benchmark::State& state)
      : latents{state.range(0), state.range(1), state.range(2), state.range(3)},
        tokens{latents[1] * latents[2] * latents[3] / 4, 4 * latents[0]} {}
};

void patchify(benchmark::State& state) {
  const Patches p(state);
  const auto sets = rotated([&] {
    return Set<2>{random_values(p.latents, DType::f32), space(p.tokens)};
  });
  time_calls(state, sets, [](auto& z, auto& y) { cuda_ops().patchify(z, y); });
  const auto& [z, y] = sets.front();
  report_bytes(state, {z, y});
}

void unpatchify(benchmark::State& state) {
  const Patches p(state);
  const auto sets = rotated([&] {
    return Set<2>{random_values(p.tokens), space(p.latents, DType::f32)};
  });
  time_calls(state, sets, [](auto& y, auto& z) { cuda_ops().unpatchify(y, z); });
  const auto& [y, z] = sets.front();
  report_bytes(state, {y, z});
}

/// A step of a multistep solver with guidance.
void combine(benchmark::State& state) {
  const Shape shape{state.range(0), state.range(1), state.range(2), state.range(3)};
  const auto latents = [&] { return random_values(shape, DType::f32); };
  const auto sets = rotated([&] {
    return Set<6>{latents(), latents(), latents(), latents(), latents(), space(shape, DType::f32)};
  });
  time_calls(state, sets, [](auto& a, auto& b, auto& c, auto& d, auto& e, auto& out) {
    const std::array<Term, 5> terms{Term{1, a}, Term{-.5F, b}, Term{.25F, c}, Term{2, d},
                                    Term{-1, e}};
    cuda_ops().combine(terms, out);
  });
  const auto& [a, b, c, d, e, out] = sets.front();
  report_bytes(state, {a, b, c, d, e, out});
}

// ---- cases -------------------------------------------------------------------------------------

// Rows are tokens: 32760 of a 480x832x81 clip, 27280 of the 5B model's 704x1280x121.
void plain_layers(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "depth", "outputs"})
      ->Args({32760, 8960, 1536})
      ->Args({32760, 5120, 5120})
      ->Apply(by_events);
}
void gelu_layers(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "depth", "outputs"})
      ->Args({32760, 1536, 8960})
      ->Args({32760, 5120, 13824})
      ->Apply(by_events);
}
BENCHMARK_CAPTURE(linear, plain, Precision::bf16, Activation::none)->Apply(plain_layers);
BENCHMARK_CAPTURE(linear, gelu, Precision::bf16, Activation::gelu_tanh)->Apply(gelu_layers);
BENCHMARK_CAPTURE(linear, plain_fp8, Precision::fp8, Activation::none)->Apply(plain_layers);
BENCHMARK_CAPTURE(linear, gelu_fp8, Precision::fp8, Activation::gelu_tanh)->Apply(gelu_layers);
BENCHMARK(linear_few_rows)
    ->ArgNames({"rows", "depth", "outputs"})
    ->Args({1, 5120, 30720})
    ->Args({2, 3072, 18432})
    ->Apply(by_events);

void layer_widths(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "width"})->Args({32760, 1536})->Args({32760, 5120})->Apply(by_events);
}
BENCHMARK_CAPTURE(linear_group, bf16, Precision::bf16)->Apply(layer_widths);
BENCHMARK_CAPTURE(linear_group, fp8, Precision::fp8)->Apply(layer_widths);
BENCHMARK(quantize_rows)->Apply(layer_widths)->Args({32760, 8960})->Args({32760, 13824});

const std::vector<std::string> attention_names{"queries", "keys", "heads", "width", "merged"};
void self_attention(benchmark::internal::Benchmark* b) {
  b->ArgNames(attention_names)
      ->Args({32760, 32760, 12, 128, 1})
      ->Args({27280, 27280, 24, 128, 1})
      ->Args({32760, 32760, 40, 128, 1})
      ->Apply(by_events);
}
// Keys of a prompt: all 512, or 77 and one that stands for 435 pad rows.
void self_and_cross_attention(benchmark::internal::Benchmark* b) {
  b->Apply(self_attention)
      ->Args({32760, 78, 12, 128, 1})
      ->Args({32760, 78, 12, 128, 435})
      ->Args({32760, 513, 12, 128, 1})
      ->Args({32760, 513, 12, 128, 435})
      ->Args({32760, 513, 40, 128, 435});
}
BENCHMARK_CAPTURE(attention, hopper, attention_hopper)->Apply(self_and_cross_attention);
BENCHMARK_CAPTURE(attention, cudnn, attention_cudnn)->Apply(self_and_cross_attention);
BENCHMARK_CAPTURE(attention, fp8, attention_fp8)->Apply(self_attention);
BENCHMARK_CAPTURE(attention, chosen, attention_chosen)  // the autoencoder's, one head
    ->ArgNames(attention_names)
    ->Args({6240, 6240, 1, 384, 1})
    ->Args({3520, 3520, 1, 1024, 1})
    ->Apply(by_events);

BENCHMARK(layer_norm)->Apply(layer_widths);
BENCHMARK(residual_layer_norm)->Apply(layer_widths);
BENCHMARK(rms_norm)->Apply(layer_widths);
BENCHMARK(rms_norm_rope)->Apply(layer_widths);
BENCHMARK(gated_gelu)->ArgNames({"rows", "width"})->Args({512, 10240})->Apply(by_events);

void latent_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"channels", "frames", "height", "width"})
      ->Args({16, 21, 60, 104})
      ->Args({48, 31, 44, 80})
      ->Apply(by_events);
}
BENCHMARK(patchify)->Apply(latent_sizes);
BENCHMARK(unpatchify)->Apply(latent_sizes);
BENCHMARK(combine)->Apply(latent_sizes);

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  using namespace weft;
  try {
    if (const std::string reason = cuda_absent_reason(); !reason.empty()) fail("{}", reason);
    const bench::Ceilings& most = bench::ceilings();
    benchmark::AddCustomContext("ops", bench::cuda_ops().describe());
    benchmark::AddCustomContext("matmul_tflops", fmt::format("{:.1f}", most.matmul_tflops));
    benchmark::AddCustomContext("copy_gbytes", fmt::format("{:.1f}", most.copy_gbytes));
    benchmark::AddCustomContext("bus_gbytes", fmt::format("{:.1f}", most.bus_gbytes));
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
  return 0;
}
