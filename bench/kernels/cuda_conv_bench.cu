// The Hopper convolution: right against a plain float32 loop, then how fast, at sizes of the
// autoencoders' decoders. Exit code 1 when a result is wrong.
#include <algorithm>
#include <cmath>
#include <vector>

#include <cuda_bf16.h>
#include <fmt/format.h>

#include "weft/device/device_api.h"

#include "check.h"
#include "conv_hopper.h"
#include "conv_shape.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::bench {
namespace {

using cuda::bf16;
using cuda::ConvShape;

struct Case {
  std::int64_t frames, height, width, channels, outputs, kt, k;  // frames of y; kernel [kt, k, k]
  std::int64_t pad_top, pad_bottom, pad_left, pad_right;
  double cudnn;  // TFLOP/s of its fastest way on an H200; 0: not measured
};

constexpr Case timed[] = {
    {12, 480, 832, 96, 96, 3, 3, 1, 1, 1, 1, 526},  {12, 240, 416, 192, 192, 3, 3, 1, 1, 1, 1, 621},
    {8, 120, 208, 384, 384, 3, 3, 1, 1, 1, 1, 768}, {4, 352, 640, 256, 256, 3, 3, 1, 1, 1, 1, 715},
    {4, 176, 320, 512, 512, 3, 3, 1, 1, 1, 1, 725}, {4, 88, 160, 1024, 1024, 3, 3, 1, 1, 1, 1, 748},
    {1, 480, 832, 192, 96, 1, 3, 1, 1, 1, 1, 0},    {1, 240, 416, 384, 192, 1, 3, 1, 1, 1, 1, 0},
    {8, 120, 208, 384, 768, 3, 1, 0, 0, 0, 0, 0},
};

// Tails in every direction, unequal padding, each width of tile and slice, few steps per tile, and
// frames smaller than a patch.
constexpr Case checked[] = {
    {3, 13, 21, 64, 96, 3, 3, 1, 1, 1, 1, 0},   {5, 33, 17, 96, 96, 3, 3, 1, 1, 1, 1, 0},
    {2, 9, 40, 96, 192, 3, 3, 0, 1, 0, 1, 0},   {1, 40, 9, 64, 192, 1, 3, 1, 0, 2, 0, 0},
    {3, 16, 16, 128, 160, 3, 3, 0, 0, 0, 0, 0}, {2, 3, 5, 64, 320, 3, 3, 1, 1, 1, 1, 0},
    {7, 20, 30, 192, 128, 3, 1, 0, 0, 0, 0, 0}, {4, 50, 70, 64, 384, 3, 1, 0, 0, 0, 0, 0},
    {1, 60, 104, 96, 96, 1, 3, 1, 1, 1, 1, 0},  {9, 24, 56, 288, 96, 3, 1, 0, 0, 0, 0, 0},
    {20, 20, 20, 64, 96, 3, 1, 0, 0, 0, 0, 0},  {10, 64, 200, 192, 128, 1, 3, 1, 1, 1, 1, 0},
};

// ---- data and the reference --------------------------------------------------------------------

/// Uniform values of variance scale^2, a function of the index.
__global__ void fill(bf16* to, std::int64_t count, std::uint64_t seed, float scale) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    std::uint64_t z = (static_cast<std::uint64_t>(i) + seed) * 0x9E3779B97F4A7C15U;  // splitmix64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    const float uniform = static_cast<float>((z ^ (z >> 31)) >> 40) / 8388608.F - 1.F;
    to[i] = __float2bfloat16_rn(uniform * scale * 1.7320508F);
  }
}

/// [O, K] to [K, O], so that the reference's neighbouring threads read neighbours.
__global__ void transpose(const bf16* from, bf16* to, std::int64_t outputs, std::int64_t depth) {
  const std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (i < outputs * depth) to[i] = from[i % outputs * depth + i / outputs];
}

struct Errors {
  double difference, reference;  // sums of squares
  unsigned long long wrong, first_wrong;
};

constexpr int run_length = 8;  // positions of a row per thread
constexpr int lanes = 32, runs_per_block = 4;

struct Sizes {
  int height, width, channels, outputs, kt, kh, kw, pad_top, pad_left;
  int out_frames, out_height, out_width;
};

/// Recomputes y for 8 positions of a row and one output channel per thread, and compares.
__global__ void compare(Sizes s, const bf16* x, const bf16* w, const bf16* b, const bf16* residual,
                        const bf16* y, Errors* errors) {
  const int o = static_cast<int>(blockIdx.y) * lanes + static_cast<int>(threadIdx.x);
  const int runs_per_row = (s.out_width + run_length - 1) / run_length;
  const int run = static_cast<int>(blockIdx.x) * runs_per_block + static_cast<int>(threadIdx.y);
  const int row = run / runs_per_row;
  const int first = run % runs_per_row * run_length;
  if (row >= s.out_frames * s.out_height) return;
  float sum[run_length] = {};
  for (int tap = 0; tap < s.kt * s.kh * s.kw; ++tap) {
    const int t = row / s.out_height + tap / (s.kh * s.kw);
    const int h = row % s.out_height + tap / s.kw % s.kh - s.pad_top;
    const int left = first + tap % s.kw - s.pad_left;
    if (h < 0 || h >= s.height) continue;
    const std::int64_t line = (static_cast<std::int64_t>(t) * s.height + h) * s.width;
    const bf16* weights = w + static_cast<std::int64_t>(tap) * s.channels * s.outputs + o;
    for (int c = 0; c < s.channels; ++c) {
      const float weight = __bfloat162float(weights[static_cast<std::int64_t>(c) * s.outputs]);
#pragma unroll
      for (int i = 0; i < run_length; ++i) {
        const int at = left + i;
        const bool inside = at >= 0 && at < s.width;
        sum[i] += inside ? weight * __bfloat162float(x[(line + at) * s.channels + c]) : 0.F;
      }
    }
  }
  double difference = 0;
  double reference = 0;
  for (int i = 0; i < run_length && first + i < s.out_width; ++i) {
    const std::int64_t at =
        (static_cast<std::int64_t>(row) * s.out_width + first + i) * s.outputs + o;
    const float want = sum[i] + __bfloat162float(b[o]) + __bfloat162float(residual[at]);
    const float off = __bfloat162float(y[at]) - want;
    difference += static_cast<double>(off) * off;
    reference += static_cast<double>(want) * want;
    if (!(fabsf(off) <= 0.004F * fabsf(want) + 0.002F)) {  // not a number is wrong too
      atomicAdd(&errors->wrong, 1ULL);
      atomicMin(&errors->first_wrong, static_cast<unsigned long long>(at));
    }
  }
  atomicAdd(&errors->difference, difference);
  atomicAdd(&errors->reference, reference);
}

// ---- one case ----------------------------------------------------------------------------------

Tensor random_tensor(const Shape& shape, std::uint64_t seed, double scale) {
  Tensor x = Tensor::empty(shape, DType::bf16, DeviceKind::cuda);
  fill<<<1024, 256, 0, cuda_stream()>>>(cuda::elements<bf16>(x), x.numel(), seed << 40,
                                        static_cast<float>(scale));
  check_launch("fill");
  return x;
}

struct Data {
  ConvShape shape;
  ConvArgs args;
  std::vector<Tensor> x, y;  // several, so that no run finds the last one's in the L2 cache
  Tensor w, b, residual;

  [[nodiscard]] double flops() const {
    return 2.0 *
           static_cast<double>(shape.positions() * shape.outputs * shape.taps() * shape.channels);
  }
};

Data make(const Case& c) {
  constexpr std::int64_t more_than_l2 = std::int64_t{256} << 20;
  Data d;
  d.args.pad_top = c.pad_top;
  d.args.pad_bottom = c.pad_bottom;
  d.args.pad_left = c.pad_left;
  d.args.pad_right = c.pad_right;
  const Shape x{c.frames + c.kt - 1, c.height, c.width, c.channels};
  d.shape = cuda::conv_shape(x, {c.outputs, c.channels, c.kt, c.k, c.k}, d.args);
  const double depth = static_cast<double>(d.shape.taps() * c.channels);
  d.w = random_tensor({c.outputs, c.kt, c.k, c.k, c.channels}, 1, 1 / std::sqrt(depth));
  d.b = random_tensor({c.outputs}, 2, 1);
  d.residual = random_tensor(d.shape.output(), 3, 1);
  const std::int64_t bytes = 2 * (x.numel() + d.residual.numel());
  const std::int64_t copies = std::min<std::int64_t>(1 + more_than_l2 / bytes, 8);
  for (std::int64_t i = 0; i < copies; ++i) {
    d.x.push_back(random_tensor(x, 4, 1));
    d.y.push_back(random_tensor(d.shape.output(), 5, 1));
  }
  return d;
}

/// Whether y = conv(x) + b + residual; says what is wrong.
bool is_right(Data& d) {
  const ConvShape& s = d.shape;
  const Tensor& y = d.y.front();
  check(cudaMemsetAsync(y.raw(), 0xFF, y.bytes(), cuda_stream()), "cudaMemset");  // not a number
  ConvArgs args = d.args;
  args.residual = d.residual;
  cuda::conv_hopper(d.x.front(), d.w, d.b, args, y);

  const std::int64_t depth = s.taps() * s.channels;
  const Tensor w = Tensor::empty({depth, s.outputs}, DType::bf16, DeviceKind::cuda);
  transpose<<<cuda::blocks_for(w.numel(), 256), 256, 0, cuda_stream()>>>(
      cuda::elements<bf16>(d.w), cuda::elements<bf16>(w), s.outputs, depth);
  check_launch("transpose");
  Errors errors{0, 0, 0, UINT64_MAX};
  const Tensor on_device =
      Tensor::empty({static_cast<std::int64_t>(sizeof errors)}, DType::u8, DeviceKind::cuda);
  auto* const device_errors = reinterpret_cast<Errors*>(on_device.raw());
  check(cudaMemcpyAsync(device_errors, &errors, sizeof errors, cudaMemcpyDefault, cuda_stream()),
        "cudaMemcpy");
  const Sizes sizes{
      cuda::to_int(s.height),     cuda::to_int(s.width),        cuda::to_int(s.channels),
      cuda::to_int(s.outputs),    cuda::to_int(s.kt),           cuda::to_int(s.kh),
      cuda::to_int(s.kw),         cuda::to_int(d.args.pad_top), cuda::to_int(d.args.pad_left),
      cuda::to_int(s.out_frames), cuda::to_int(s.out_height),   cuda::to_int(s.out_width)};
  const std::int64_t runs =
      s.out_frames * s.out_height * ((s.out_width + run_length - 1) / run_length);
  const dim3 blocks(cuda::blocks_for(runs, runs_per_block), cuda::blocks_for(s.outputs, lanes));
  compare<<<blocks, dim3(lanes, runs_per_block), 0, cuda_stream()>>>(
      sizes, cuda::elements<bf16>(d.x.front()), cuda::elements<bf16>(w), cuda::elements<bf16>(d.b),
      cuda::elements<bf16>(d.residual), cuda::elements<bf16>(y), device_errors);
  check_launch("compare");
  check(cudaMemcpyAsync(&errors, device_errors, sizeof errors, cudaMemcpyDefault, cuda_stream()),
        "cudaMemcpy");
  check(cudaStreamSynchronize(cuda_stream()), "comparing");

  const double relative = std::sqrt(errors.difference / errors.reference);
  const bool right = errors.wrong == 0 && relative < 4e-3;
  if (!right) {
    const auto at = static_cast<std::int64_t>(errors.first_wrong);
    const std::int64_t position = at / s.outputs;
    fmt::print("WRONG: relative error {:.2e}, {} of {} elements, first [{}, {}, {}, {}]\n",
               relative, errors.wrong, y.numel(), position / s.out_width / s.out_height,
               position / s.out_width % s.out_height, position % s.out_width, at % s.outputs);
  }
  return right;
}

/// TFLOP/s of the median of 20 runs.
double speed(Data& d, const Tensor& residual) {
  constexpr std::size_t warm_up = 3;
  constexpr std::size_t runs = 20;
  ConvArgs args = d.args;
  args.residual = residual;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  std::vector<float> times;
  for (std::size_t i = 0; i < warm_up + runs; ++i) {
    const std::size_t copy = i % d.x.size();
    check(cudaEventRecord(begin, cuda_stream()), "cudaEventRecord");
    cuda::conv_hopper(d.x[copy], d.w, d.b, args, d.y[copy]);
    check(cudaEventRecord(end, cuda_stream()), "cudaEventRecord");
    check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    if (i >= warm_up) times.push_back(milliseconds);
  }
  check(cudaEventDestroy(begin), "cudaEventDestroy");
  check(cudaEventDestroy(end), "cudaEventDestroy");
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return d.flops() / times[runs / 2] / 1e9;
}

std::string name(const Case& c) {
  return fmt::format("{}->{} {}x{}x{} of {}x{}x{}", c.channels, c.outputs, c.kt, c.k, c.k, c.frames,
                     c.height, c.width);
}

bool check_case(const Case& c, Data& d) {
  if (!cuda::conv_hopper_fits(d.x.front(), {c.outputs, c.channels, c.kt, c.k, c.k}, d.args,
                              d.y.front())) {
    fmt::print("{}: refused\n", name(c));
    return false;
  }
  if (is_right(d)) return true;
  fmt::print("  in {}\n", name(c));
  return false;
}

int run() {
  bool right = true;
  for (const Case& c : checked) {
    Data d = make(c);
    right = check_case(c, d) && right;
  }
  fmt::print("{} small cases: {}\n\n", std::size(checked), right ? "right" : "WRONG");
  fmt::print("{:36} {:>9} {:>9} {:>7}   TFLOP/s\n", "convolution", "bias", "+residual", "cuDNN");
  for (const Case& c : timed) {
    Data d = make(c);
    right = check_case(c, d) && right;
    fmt::print("{:36} {:9.0f} {:9.0f} {:7.0f}\n", name(c), speed(d, {}), speed(d, d.residual),
               c.cudnn);
  }
  return right ? 0 : 1;
}

}  // namespace
}  // namespace weft::bench

int main() {
  try {
    return weft::bench::run();
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
