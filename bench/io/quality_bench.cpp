// Milliseconds a frame of the quality figures, on one thread.
#include <cmath>
#include <vector>

#include <benchmark/benchmark.h>

#include "weft/io/flow_meter.h"
#include "weft/io/picture_quality.h"

namespace {

/// Smooth waves, moved by 2.5 pixels a frame, with a little noise. rgb24 [height, width, 3].
std::vector<std::uint8_t> frame_of(std::int64_t width, std::int64_t height, int frame) {
  std::vector<std::uint8_t> rgb;
  std::uint32_t state = static_cast<std::uint32_t>(frame) + 1;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const double u = static_cast<double>(x) - 2.5 * frame, v = static_cast<double>(y);
      for (const double wave :
           {std::sin(0.11 * u + 0.05 * v), std::sin(0.23 * v), std::cos(0.3 * u - 0.2 * v)}) {
        state = state * 1664525U + 1013904223U;
        rgb.push_back(
            static_cast<std::uint8_t>(128 + 100 * wave + static_cast<double>(state >> 29U)));
      }
    }
  }
  return rgb;
}

void flow(benchmark::State& state) {
  if (!weft::FlowMeter::available()) {
    state.SkipWithError("built without OpenCV");
    return;
  }
  const std::int64_t width = state.range(0), height = state.range(1);
  const auto a = frame_of(width, height, 0), b = frame_of(width, height, 1);
  weft::FlowMeter meter(width, height);
  meter.add(a);
  bool second = true;
  for (auto _ : state) {
    meter.add(second ? b : a);
    second = !second;
  }
}

void similarity(benchmark::State& state) {
  const std::int64_t width = state.range(0), height = state.range(1);
  const auto a = frame_of(width, height, 0), b = frame_of(width, height, 1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(weft::mean_squared_error(a, b));
    benchmark::DoNotOptimize(weft::ssim(a, b, width, height));
  }
}

}  // namespace

BENCHMARK(flow)
    ->Args({832, 480})
    ->Args({1280, 704})
    ->Args({128, 128})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(similarity)->Args({832, 480})->Args({1280, 704})->Unit(benchmark::kMillisecond);
BENCHMARK_MAIN();
