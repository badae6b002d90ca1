// Latent volumes [C, T, H, W]: to and from tokens and channels-last video, window blending. These
// are megabytes where activations are gigabytes, so an item is one element of the output: writes
// are contiguous, and the strided reads come from the caches.
#include <algorithm>
#include <initializer_list>
#include <vector>

#include "cuda_ops.h"
#include "packs.cuh"

namespace weft::cuda {
namespace {

// Up to so many floats travel as the argument of a kernel (4 KB for all arguments): a copy from the
// host would wait for everything asked of the device before.
constexpr std::int64_t values_per_launch = 960;

struct StoreValues {
  float values[values_per_launch];
  float* to;
  __device__ void operator()(std::int64_t /*plane*/, std::int64_t /*line*/, int i) const {
    to[i] = values[i];
  }
};

// Host values one after the other in one small tensor on the device. The host does not wait.
Tensor uploaded(std::initializer_list<std::span<const float>> parts) {
  std::vector<float> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  const std::int64_t count = std::ssize(all);
  Tensor on_device = Tensor::empty({count}, DType::f32, DeviceKind::cuda);
  for (std::int64_t begin = 0; begin < count; begin += values_per_launch) {
    const std::int64_t n = std::min(values_per_launch, count - begin);
    StoreValues store{{}, elements<float>(on_device) + begin};
    std::copy_n(all.begin() + begin, n, store.values);
    launch_lines("store_values", 1, 1, n, store);
  }
  return on_device;
}

// y[(t,h,w), (c,i,j)] = z[c, t, 2h+i, 2w+j].
template <class Y>
struct Patchify {
  const float* z;
  Y* y;
  std::int64_t frames, rows, cols;  // of tokens
  int features;                     // 4 C
  __device__ void operator()(std::int64_t t, std::int64_t h, int item) const {
    const int w = item / features, k = item - w * features;
    const int c = k / 4, i = k / 2 % 2, j = k % 2;
    const std::int64_t line = ((c * frames + t) * rows + h) * 2 + i;
    y[(t * rows + h) * cols * features + item] = from_float<Y>(z[(line * cols + w) * 2 + j]);
  }
};

// z[c, t, 2h+i, 2w+j] = y[(t,h,w), (2i+j) C + c]; `line` counts the lines of all frames of a
// channel.
template <class Y>
struct Unpatchify {
  const Y* y;
  float* z;
  std::int64_t lines, cols;  // lines of a channel; columns of tokens
  int channels;
  __device__ void operator()(std::int64_t c, std::int64_t line, int item) const {
    // A frame has an even number of lines, so line / 2 is (t,h) and line % 2 is i.
    const std::int64_t token = line / 2 * cols + item / 2;
    const std::int64_t feature = (2 * (line % 2) + item % 2) * channels + c;
    z[(c * lines + line) * 2 * cols + item] = to_float(y[token * 4 * channels + feature]);
  }
};

struct AddWeighted {
  const float* v;
  const float* weights;                            // of frames, then rows, then columns of v
  float* sum;                                      // its element (0, origin)
  std::int64_t frames, height, width;              // of v
  std::int64_t sum_frames, sum_height, sum_width;  // of sum
  __device__ void operator()(std::int64_t c, std::int64_t line, int w) const {
    const std::int64_t t = line / height, h = line - t * height;
    const float weight = weights[t] * weights[frames + h];
    float& to = sum[((c * sum_frames + t) * sum_height + h) * sum_width + w];
    to += weight * weights[frames + height + w] * v[(c * frames * height + line) * width + w];
  }
};

// y[t, h, w, c] = z[c, t, h, w] scale[c] + shift[c].
template <class Y>
struct LatentsToVideo {
  const float* z;
  const float* scale;  // then shift
  Y* y;
  std::int64_t positions, width;  // T H W, W
  int channels;
  __device__ void operator()(std::int64_t /*plane*/, std::int64_t line, int item) const {
    const int w = item / channels, c = item - w * channels;
    const float value = z[c * positions + line * width + w];
    y[line * width * channels + item] = from_float<Y>(value * scale[c] + scale[channels + c]);
  }
};

// z[c, t, h, w] = (y[t, h, w, c] - shift[c]) scale[c].
template <class Y>
struct VideoToLatents {
  const Y* y;
  const float* scale;  // then shift
  float* z;
  std::int64_t lines, width;      // T H, W
  std::int64_t channels, stride;  // of z, and of y
  __device__ void operator()(std::int64_t c, std::int64_t line, int w) const {
    const float value = to_float(y[(line * width + w) * stride + c]);
    z[(c * lines + line) * width + w] = (value - scale[channels + c]) * scale[c];
  }
};

}  // namespace

void CudaOps::patchify(const Tensor& z, Tensor y) {
  const std::int64_t channels = z.dim(0), frames = z.dim(1), height = z.dim(2), width = z.dim(3);
  const std::int64_t rows = height / 2, cols = width / 2;
  WEFT_ASSERT(
      height % 2 == 0 && width % 2 == 0 && y.shape() == Shape({frames * rows * cols, 4 * channels}),
      "patchify: z {}, y {}", z.shape().str(), y.shape().str());
  by_type(y.dtype(), [&]<class Y>(Y) {
    launch_lines("patchify", frames, rows, cols * 4 * channels,
                 Patchify<Y>{elements<float>(z), elements<Y>(y), frames, rows, cols,
                             static_cast<int>(4 * channels)});
  });
}

void CudaOps::unpatchify(const Tensor& y, Tensor z) {
  const std::int64_t channels = z.dim(0), frames = z.dim(1), height = z.dim(2), width = z.dim(3);
  WEFT_ASSERT(height % 2 == 0 && width % 2 == 0 &&
                  y.shape() == Shape({frames * height * width / 4, 4 * channels}),
              "unpatchify: y {}, z {}", y.shape().str(), z.shape().str());
  by_type(y.dtype(), [&]<class Y>(Y) {
    launch_lines("unpatchify", channels, frames * height, width,
                 Unpatchify<Y>{elements<Y>(y), elements<float>(z), frames * height, width / 2,
                               static_cast<int>(channels)});
  });
}

void CudaOps::add_weighted(Tensor sum, const Tensor& v, std::span<const std::int64_t, 3> origin,
                           std::span<const float> wt, std::span<const float> wh,
                           std::span<const float> ww) {
  const std::int64_t frames = v.dim(1), height = v.dim(2), width = v.dim(3);
  WEFT_ASSERT(sum.dim(0) == v.dim(0) && std::ssize(wt) == frames && std::ssize(wh) == height &&
                  std::ssize(ww) == width,
              "add_weighted: v {}, weights {} {} {}", v.shape().str(), wt.size(), wh.size(),
              ww.size());
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t at = origin[static_cast<std::size_t>(axis)];
    WEFT_ASSERT(0 <= at && at + v.dim(axis + 1) <= sum.dim(axis + 1),
                "add_weighted: {} at {} of axis {} leaves {}", v.shape().str(), at, axis,
                sum.shape().str());
  }
  const Tensor weights = uploaded({wt, wh, ww});
  float* first =
      elements<float>(sum) + (origin[0] * sum.dim(2) + origin[1]) * sum.dim(3) + origin[2];
  launch_lines("add_weighted", v.dim(0), frames * height, width,
               AddWeighted{elements<float>(v), elements<float>(weights), first, frames, height,
                           width, sum.dim(1), sum.dim(2), sum.dim(3)});
}

void CudaOps::latents_to_video(const Tensor& z, std::span<const float> scale,
                               std::span<const float> shift, Tensor y) {
  const std::int64_t channels = z.dim(0), lines = z.dim(1) * z.dim(2), width = z.dim(3);
  WEFT_ASSERT(y.shape() == Shape({z.dim(1), z.dim(2), width, channels}) &&
                  std::ssize(scale) == channels && std::ssize(shift) == channels,
              "latents_to_video: z {}, y {}", z.shape().str(), y.shape().str());
  const Tensor factors = uploaded({scale, shift});
  by_type(y.dtype(), [&]<class Y>(Y) {
    launch_lines("latents_to_video", 1, lines, width * channels,
                 LatentsToVideo<Y>{elements<float>(z), elements<float>(factors), elements<Y>(y),
                                   lines * width, width, static_cast<int>(channels)});
  });
}

void CudaOps::video_to_latents(const Tensor& y, std::span<const float> scale,
                               std::span<const float> shift, Tensor z) {
  const std::int64_t channels = z.dim(0), lines = y.dim(0) * y.dim(1), width = y.dim(2);
  WEFT_ASSERT(z.shape() == Shape({channels, y.dim(0), y.dim(1), width}) && channels <= y.dim(3) &&
                  std::ssize(scale) == channels && std::ssize(shift) == channels,
              "video_to_latents: y {}, z {}", y.shape().str(), z.shape().str());
  const Tensor factors = uploaded({scale, shift});
  by_type(y.dtype(), [&]<class Y>(Y) {
    launch_lines("video_to_latents", channels, lines, width,
                 VideoToLatents<Y>{elements<Y>(y), elements<float>(factors), elements<float>(z),
                                   lines, width, channels, y.dim(3)});
  });
}

}  // namespace weft::cuda
