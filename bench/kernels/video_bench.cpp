// The autoencoders' operations beside convolution and norm, at sizes of a 480x832 clip (2.1) and a
// 704x1280 one (2.2).
#include "cpu_measure.h"

namespace weft::bench {
namespace {

void upsample2x(benchmark::State& state) {
  const Tensor x = random_tensor({1, 240, 416, 192}), y = Tensor::empty({1, 480, 832, 192});
  for (auto _ : state) ops().upsample2x(x, y);
  report_bytes(state, {x, y});
}

void channels_to_frames(benchmark::State& state) {
  const Tensor x = random_tensor({2, 120, 208, 768}), y = Tensor::empty({4, 120, 208, 384});
  for (auto _ : state) ops().channels_to_frames(x, y);
  report_bytes(state, {x, y});
}

void add_dup_up(benchmark::State& state) {
  const Tensor x = random_tensor({1, 88, 160, 1024}), y = Tensor::zeros({2, 176, 320, 512});
  for (auto _ : state) ops().add_dup_up(x, 2, 0, y);
  report_bytes(state, {x, y, y});
}

void add_avg_down(benchmark::State& state) {
  const Tensor x = random_tensor({2, 176, 320, 160}), y = Tensor::zeros({1, 88, 160, 320});
  for (auto _ : state) ops().add_avg_down(x, 2, y);
  report_bytes(state, {x, y, y});
}

void pixel_patchify(benchmark::State& state) {
  const Tensor x = random_tensor({4, 704, 1280, 3}), y = Tensor::empty({4, 352, 640, 12});
  for (auto _ : state) ops().pixel_patchify(x, 2, y);
  report_bytes(state, {x, y});
}

void pixel_unpatchify(benchmark::State& state) {
  const Tensor x = random_tensor({4, 352, 640, 12}), y = Tensor::empty({4, 704, 1280, 3});
  for (auto _ : state) ops().pixel_unpatchify(x, 2, y);
  report_bytes(state, {x, y});
}

const std::vector<float> per_channel(16, 0.5F);

void latents_to_video(benchmark::State& state) {
  const Tensor z = random_tensor({16, 21, 60, 104}), y = Tensor::empty({21, 60, 104, 16});
  for (auto _ : state) ops().latents_to_video(z, per_channel, per_channel, y);
  report_bytes(state, {z, y});
}

void video_to_latents(benchmark::State& state) {
  // The encoder's output has means and variances; the means are the latents.
  const Tensor y = random_tensor({21, 60, 104, 32}), z = Tensor::empty({16, 21, 60, 104});
  for (auto _ : state) ops().video_to_latents(y, per_channel, per_channel, z);
  report_bytes(state, {z, z});  // half of y is not read
}

void to_u8(benchmark::State& state) {
  const Tensor x = random_tensor({4, 480, 832, 3}), y = Tensor::empty(x.shape(), DType::u8);
  for (auto _ : state) ops().to_u8(x, y);
  report_bytes(state, {x, y});
}

BENCHMARK(upsample2x)->Apply(choose_clock);
BENCHMARK(channels_to_frames)->Apply(choose_clock);
BENCHMARK(add_dup_up)->Apply(choose_clock);
BENCHMARK(add_avg_down)->Apply(choose_clock);
BENCHMARK(pixel_patchify)->Apply(choose_clock);
BENCHMARK(pixel_unpatchify)->Apply(choose_clock);
BENCHMARK(latents_to_video)->Apply(choose_clock);
BENCHMARK(video_to_latents)->Apply(choose_clock);
BENCHMARK(to_u8)->Apply(choose_clock);

}  // namespace
}  // namespace weft::bench
