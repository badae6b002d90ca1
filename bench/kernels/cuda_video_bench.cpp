// Speed of the CUDA operations on video, at sizes of the real autoencoders, and of loading weights.
#include "weft/device/device_api.h"

#include "conv_cudnn.h"
#include "conv_weights.h"
#include "cuda_measure.h"

namespace weft::bench {
namespace {

void channel_norm(benchmark::State& state) {
  const Shape shape{state.range(0), state.range(1), state.range(2), state.range(3)};
  const Tensor gamma = random_values({shape[3]}, DType::f32);
  const auto sets = rotated([&] { return Set<2>{random_values(shape), space(shape)}; });
  time_calls(state, sets,
             [&](auto& x, auto& y) { cuda_ops().channel_norm(x, gamma, Activation::silu, y); });
  const auto& [x, y] = sets.front();
  report_bytes(state, {x, gamma, y});
}

void upsample2x(benchmark::State& state) {
  const std::int64_t frames = state.range(0), height = state.range(1), width = state.range(2),
                     channels = state.range(3);
  const auto sets = rotated([&] {
    return Set<2>{random_values({frames, height, width, channels}),
                  space({frames, 2 * height, 2 * width, channels})};
  });
  time_calls(state, sets, [](auto& x, auto& y) { cuda_ops().upsample2x(x, y); });
  const auto& [x, y] = sets.front();
  report_bytes(state, {x, y});
}

void channels_to_frames(benchmark::State& state) {
  const std::int64_t frames = state.range(0), height = state.range(1), width = state.range(2),
                     channels = state.range(3);
  const auto sets = rotated([&] {
    return Set<2>{random_values({frames, height, width, channels}),
                  space({2 * frames, height, width, channels / 2})};
  });
  time_calls(state, sets, [](auto& x, auto& y) { cuda_ops().channels_to_frames(x, y); });
  const auto& [x, y] = sets.front();
  report_bytes(state, {x, y});
}

void add_dup_up(benchmark::State& state) {
  const std::int64_t frames = state.range(0), height = state.range(1), width = state.range(2),
                     channels = state.range(3), outputs = state.range(4), growth = state.range(5);
  const auto sets = rotated([&] {
    return Set<2>{random_values({frames, height, width, channels}),
                  random_values({frames * growth, 2 * height, 2 * width, outputs})};
  });
  time_calls(state, sets, [&](auto& x, auto& y) { cuda_ops().add_dup_up(x, growth, 0, y); });
  const auto& [x, y] = sets.front();
  report_bytes(state, {x, y, y});
}

void to_u8(benchmark::State& state) {
  const Shape shape{state.range(0), state.range(1), state.range(2), 3};
  const auto sets = rotated([&] {
    return Set<2>{random_values(shape, DType::f32), space(shape, DType::u8)};
  });
  time_calls(state, sets, [](auto& x, auto& y) { cuda_ops().to_u8(x, y); });
  const auto& [x, y] = sets.front();
  report_bytes(state, {x, y});
}

using ConvKernel = void (*)(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                            const Tensor& y);

void conv_chosen(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                 const Tensor& y) {
  cuda_ops().conv(x, w, b, args, y);
}

void conv_cudnn(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                const Tensor& y) {
  static cuda::CudnnConv cudnn;
  const cuda::ConvShape s = cuda::conv_shape(x.shape(), w.shape(), args);
  if (!cudnn.run(x, cuda::packed_conv_weights(w, s), b, s, args, y)) {
    fail("cuDNN has no convolution of this shape");
  }
}

void conv(benchmark::State& state, ConvKernel kernel, DType type_of_y) {
  const std::int64_t frames = state.range(0), height = state.range(1), width = state.range(2),
                     channels = state.range(3), outputs = state.range(4), kernel_t = state.range(5),
                     kernel_hw = state.range(6), stride = state.range(7);
  const Shape x_shape{frames + kernel_t - 1, height, width, channels};
  const Shape w_shape{outputs, channels, kernel_t, kernel_hw, kernel_hw};
  ConvArgs args;
  args.pad_right = args.pad_bottom = kernel_hw / 2;
  if (stride == 1) args.pad_left = args.pad_top = kernel_hw / 2;
  args.stride_h = args.stride_w = stride;
  const cuda::ConvShape s = cuda::conv_shape(x_shape, w_shape, args);
  const auto sets = rotated([&] {
    return Set<4>{random_values(x_shape), random_values(w_shape), random_values({outputs}),
                  space(s.output(), type_of_y)};
  });
  time_calls(state, sets, [&](auto& x, auto& w, auto& b, auto& y) { kernel(x, w, b, args, y); });
  report_flops(state, 2. * static_cast<double>(s.positions() * outputs * s.taps() * channels));
}

// ---- loading -----------------------------------------------------------------------------------

/// Weights of type `from` in pageable host memory, become bf16 on the device.
void load(benchmark::State& state, DType from) {
  const Tensor host = random_values({state.range(0)}, from).to(DeviceKind::cpu);
  const Tensor to = space(host.shape());
  time_calls(state, 1, [&](std::size_t) {
    cuda_device_api()->load(to.raw(), to.dtype(), host.raw(), from, host.numel());
  });
  report_host_bytes(state, host);
}

// ---- cases -------------------------------------------------------------------------------------

BENCHMARK(channel_norm)
    ->ArgNames({"frames", "height", "width", "channels"})
    ->Args({4, 480, 832, 96})
    ->Args({4, 240, 416, 192})
    ->Args({4, 120, 208, 384})
    ->Args({4, 88, 160, 1024})
    ->Apply(by_events);
BENCHMARK(upsample2x)
    ->ArgNames({"frames", "height", "width", "channels"})
    ->Args({4, 240, 416, 192})
    ->Args({4, 88, 160, 1024})
    ->Apply(by_events);
BENCHMARK(channels_to_frames)
    ->ArgNames({"frames", "height", "width", "channels"})
    ->Args({2, 120, 208, 768})
    ->Apply(by_events);
BENCHMARK(add_dup_up)
    ->ArgNames({"frames", "height", "width", "channels", "outputs", "growth"})
    ->Args({2, 88, 160, 1024, 1024, 2})
    ->Args({4, 176, 320, 1024, 512, 1})
    ->Apply(by_events);
BENCHMARK(to_u8)
    ->ArgNames({"frames", "height", "width"})
    ->Args({4, 480, 832})
    ->Args({4, 704, 1280})
    ->Apply(by_events);

// The Hopper kernel is timed by weft-bench-cuda-conv, at the shapes that cuDNN has here.
const std::vector<std::string> conv_names{"frames",  "height", "width", "channels",
                                          "outputs", "kt",     "k",     "stride"};
BENCHMARK_CAPTURE(conv, few_outputs, conv_chosen, DType::f32)
    ->ArgNames(conv_names)
    ->Args({4, 480, 832, 96, 3, 3, 3, 1})
    ->Args({4, 352, 640, 256, 12, 3, 3, 1})
    ->Apply(by_events);
BENCHMARK_CAPTURE(conv, cudnn, conv_cudnn, DType::bf16)
    ->ArgNames(conv_names)
    ->Args({12, 480, 832, 96, 96, 3, 3, 1})
    ->Args({12, 240, 416, 192, 192, 3, 3, 1})
    ->Args({8, 120, 208, 384, 384, 3, 3, 1})
    ->Args({4, 352, 640, 256, 256, 3, 3, 1})
    ->Args({4, 176, 320, 512, 512, 3, 3, 1})
    ->Args({4, 88, 160, 1024, 1024, 3, 3, 1})
    ->Args({1, 480, 832, 192, 96, 1, 3, 1})
    ->Args({1, 240, 416, 384, 192, 1, 3, 1})
    ->Args({8, 120, 208, 384, 768, 3, 1, 1})
    ->Args({4, 60, 104, 16, 384, 3, 3, 1})
    ->Args({4, 44, 80, 48, 1024, 3, 3, 1})
    ->Args({4, 480, 832, 96, 96, 1, 3, 2})
    ->Args({4, 240, 416, 192, 192, 1, 3, 2})
    ->Apply(by_events);

BENCHMARK_CAPTURE(load, bf16, DType::bf16)->ArgName("count")->Arg(500'000'000)->Apply(by_events);
BENCHMARK_CAPTURE(load, f32, DType::f32)->ArgName("count")->Arg(250'000'000)->Apply(by_events);

}  // namespace
}  // namespace weft::bench
