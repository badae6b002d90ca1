// Speed of the CPU operations at sizes of the real models, as a share of what this machine can do.
#include <cmath>
#include <fstream>
#include <string>

#include "cpu_measure.h"

namespace weft::bench {
namespace {

/// The processor's name as the kernel reports it, or "unknown" where there is no such file.
std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

void linear(benchmark::State& state, Activation act) {
  const std::int64_t rows = state.range(0), depth = state.range(1), outputs = state.range(2);
  const Tensor x = random_tensor({rows, depth}), w = random_tensor({outputs, depth});
  const Tensor b = random_tensor({outputs});
  const Tensor y = Tensor::empty({rows, outputs});
  ops().linear(x, w, b, y, act);  // packs the weights once
  for (auto _ : state) ops().linear(x, w, b, y, act);
  report_flops(state, 2.0 * static_cast<double>(rows * depth * outputs));
}

void attention(benchmark::State& state) {
  const std::int64_t queries = state.range(0), keys = state.range(1), heads = state.range(2),
                     width = state.range(3);
  const Tensor q = random_tensor({queries, heads, width}), k = random_tensor({keys, heads, width});
  const Tensor out = Tensor::empty(q.shape());
  AttentionArgs args;
  args.scale = 1 / std::sqrt(static_cast<float>(width));
  for (auto _ : state) ops().attention(q, k, k, args, out);
  report_flops(state, 4.0 * static_cast<double>(queries * keys * heads * width));
}

void conv(benchmark::State& state) {
  const std::int64_t frames = state.range(0), height = state.range(1), width = state.range(2),
                     channels = state.range(3), outputs = state.range(4), kernel_t = state.range(5),
                     kernel = state.range(6), stride = state.range(7);
  const Tensor x = random_tensor({frames + kernel_t - 1, height, width, channels});
  const Tensor w = random_tensor({outputs, channels, kernel_t, kernel, kernel});
  const Tensor b = random_tensor({outputs});
  ConvArgs args;
  args.pad_right = args.pad_bottom = kernel / 2;
  if (stride == 1) args.pad_left = args.pad_top = kernel / 2;
  args.stride_h = args.stride_w = stride;
  const Tensor y = Tensor::empty({frames, height / stride, width / stride, outputs});
  ops().conv(x, w, b, args, y);
  for (auto _ : state) ops().conv(x, w, b, args, y);
  report_flops(state, 2.0 * static_cast<double>(y.numel() * channels * kernel_t * kernel * kernel));
}

void layer_norm(benchmark::State& state) {
  const std::int64_t rows = state.range(0), width = state.range(1);
  const Tensor x = random_tensor({rows, width});
  const TokenRows rows_of{random_tensor({1, width}), 0};
  const Tensor y = Tensor::empty(x.shape());
  for (auto _ : state) ops().layer_norm(x, rows_of, rows_of, 1e-6F, y);
  report_bytes(state, 8.0 * static_cast<double>(x.numel()));
}

void rms_norm_rope(benchmark::State& state) {
  const std::int64_t rows = state.range(0), width = state.range(1);
  const Tensor x = random_tensor({rows, width}), w = random_tensor({width});
  const Tensor cos = random_tensor({rows, 64}), sin = random_tensor({rows, 64});
  const Tensor y = Tensor::empty(x.shape());
  for (auto _ : state) ops().rms_norm_rope(x, w, 1e-6F, cos, sin, y);
  report_bytes(state, 8.0 * static_cast<double>(x.numel() + cos.numel()));
}

void channel_norm(benchmark::State& state) {
  const Tensor x = random_tensor({state.range(0), state.range(1)});
  const Tensor gamma = random_tensor({state.range(1)});
  const Tensor y = Tensor::empty(x.shape());
  for (auto _ : state) ops().channel_norm(x, gamma, Activation::silu, y);
  report_bytes(state, 8.0 * static_cast<double>(x.numel()));
}

void gated_residual(benchmark::State& state) {
  const Tensor x = random_tensor({state.range(0), state.range(1)}), y = random_tensor(x.shape());
  const TokenRows gate{random_tensor({1, state.range(1)}), 0};
  for (auto _ : state) ops().gated_residual(x, y, gate);
  report_bytes(state, 12.0 * static_cast<double>(x.numel()));
}

void gated_gelu(benchmark::State& state) {
  const Tensor a = random_tensor({state.range(0)}), b = random_tensor({state.range(0)});
  const Tensor y = Tensor::empty(a.shape());
  for (auto _ : state) ops().gated_gelu(a, b, y);
  report_bytes(state, 12.0 * static_cast<double>(a.numel()));
}

// Rows are tokens: 4096 of the 32760 of a 480x832x81 clip, and one forward's time embedding.
BENCHMARK_CAPTURE(linear, plain, Activation::none)
    ->ArgNames({"rows", "depth", "outputs"})
    ->Args({4096, 1536, 1536})
    ->Args({4096, 8960, 1536})
    ->Args({1024, 5120, 5120})
    ->Args({77, 4096, 4096})
    ->Args({1, 1536, 9216})
    ->Apply(choose_clock);
BENCHMARK_CAPTURE(linear, gelu, Activation::gelu_tanh)
    ->ArgNames({"rows", "depth", "outputs"})
    ->Args({4096, 1536, 8960})
    ->Apply(choose_clock);
BENCHMARK(attention)
    ->ArgNames({"queries", "keys", "heads", "width"})
    ->Args({4096, 4096, 12, 128})
    ->Args({4096, 4096, 8, 32})
    ->Args({1024, 513, 12, 128})
    ->Args({6240, 6240, 1, 384})
    ->Args({512, 512, 16, 64})
    ->Apply(choose_clock);
BENCHMARK(conv)
    ->ArgNames({"frames", "height", "width", "channels", "outputs", "kt", "k", "stride"})
    ->Args({1, 240, 416, 96, 96, 3, 3, 1})
    ->Args({1, 240, 416, 192, 192, 3, 3, 1})
    ->Args({2, 60, 104, 384, 384, 3, 3, 1})
    ->Args({1, 44, 80, 1024, 1024, 3, 3, 1})
    ->Args({1, 176, 320, 256, 256, 3, 3, 1})
    ->Args({4, 60, 104, 384, 768, 3, 1, 1})
    ->Args({1, 240, 416, 192, 96, 1, 3, 1})
    ->Args({1, 240, 416, 96, 96, 1, 3, 2})
    ->Args({1, 60, 104, 384, 1152, 1, 1, 1})
    ->Args({1, 60, 104, 16, 384, 3, 3, 1})
    ->Args({1, 240, 416, 3, 96, 3, 3, 1})
    ->Args({1, 240, 416, 96, 3, 3, 3, 1})
    ->Args({1, 352, 640, 256, 12, 3, 3, 1})
    ->Apply(choose_clock);
BENCHMARK(layer_norm)->Args({32760, 1536})->Apply(choose_clock);
BENCHMARK(rms_norm_rope)->Args({32760, 1536})->Apply(choose_clock);
BENCHMARK(channel_norm)->Args({480 * 832, 96})->Apply(choose_clock);
BENCHMARK(gated_residual)->Args({32760, 1536})->Apply(choose_clock);
BENCHMARK(gated_gelu)->Args({1 << 24})->Apply(choose_clock);

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  using namespace weft;
  benchmark::AddCustomContext("processor", bench::processor());
  benchmark::AddCustomContext("ops", bench::ops().describe());
  benchmark::AddCustomContext("peak_gflops", fmt::format("{:.1f}", bench::peak().gflops));
  benchmark::AddCustomContext("stream_gbytes", fmt::format("{:.1f}", bench::peak().gbytes));
  benchmark::RunSpecifiedBenchmarks();
}
