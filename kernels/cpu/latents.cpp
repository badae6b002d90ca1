// Latent volumes [C, T, H, W]: to and from tokens and channels-last video, window blending.
#include "cpu_ops.h"
#include "parallel.h"

namespace weft::cpu {

void CpuOps::patchify(const Tensor& z, Tensor y) {
  const std::int64_t channels = z.dim(0), frames = z.dim(1), height = z.dim(2), width = z.dim(3);
  const std::int64_t rows = height / 2, cols = width / 2;
  WEFT_ASSERT(
      height % 2 == 0 && width % 2 == 0 && y.shape() == Shape({frames * rows * cols, 4 * channels}),
      "patchify: z {}, y {}", z.shape().str(), y.shape().str());
  const float* from = z.data<float>();
  float* to = y.data<float>();
  for_ranges(threads_, frames * rows, cols * channels * 32,
             [=](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end; ++row) {
                 const std::int64_t t = row / rows, h = row % rows;
                 for (std::int64_t w = 0; w < cols; ++w) {
                   float* token = to + (row * cols + w) * 4 * channels;
                   for (std::int64_t c = 0; c < channels; ++c) {
                     const float* at = from + ((c * frames + t) * height + 2 * h) * width + 2 * w;
                     token[4 * c] = at[0];
                     token[4 * c + 1] = at[1];
                     token[4 * c + 2] = at[width];
                     token[4 * c + 3] = at[width + 1];
                   }
                 }
               }
             });
}

void CpuOps::unpatchify(const Tensor& y, Tensor z) {
  const std::int64_t channels = z.dim(0), frames = z.dim(1), height = z.dim(2), width = z.dim(3);
  const std::int64_t rows = height / 2, cols = width / 2;
  WEFT_ASSERT(
      height % 2 == 0 && width % 2 == 0 && y.shape() == Shape({frames * rows * cols, 4 * channels}),
      "unpatchify: y {}, z {}", y.shape().str(), z.shape().str());
  const float* from = y.data<float>();
  float* to = z.data<float>();
  for_ranges(threads_, frames * rows, cols * channels * 32,
             [=](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end; ++row) {
                 const std::int64_t t = row / rows, h = row % rows;
                 for (std::int64_t c = 0; c < channels; ++c) {
                   float* at = to + ((c * frames + t) * height + 2 * h) * width;
                   for (std::int64_t w = 0; w < cols; ++w) {
                     const float* token = from + (row * cols + w) * 4 * channels + c;
                     at[2 * w] = token[0];
                     at[2 * w + 1] = token[channels];
                     at[width + 2 * w] = token[2 * channels];
                     at[width + 2 * w + 1] = token[3 * channels];
                   }
                 }
               }
             });
}

void CpuOps::add_weighted(Tensor sum, const Tensor& v, std::span<const std::int64_t, 3> origin,
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
  const float* from = v.data<float>();
  float* to = sum.data<float>();
  for_ranges(
      threads_, v.dim(0) * frames * height, width * 12, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t c = row / (frames * height), t = row / height % frames,
                             h = row % height;
          float* at = to +
                      ((c * sum.dim(1) + origin[0] + t) * sum.dim(2) + origin[1] + h) * sum.dim(3) +
                      origin[2];
          const float* x = from + row * width;
          const float weight = wt[static_cast<std::size_t>(t)] * wh[static_cast<std::size_t>(h)];
          const float* column_weight = ww.data();
          for (std::int64_t w = 0; w < width; ++w) at[w] += (weight * column_weight[w]) * x[w];
        }
      });
}

void CpuOps::latents_to_video(const Tensor& z, std::span<const float> scale,
                              std::span<const float> shift, Tensor y) {
  const std::int64_t channels = z.dim(0), positions = z.dim(1) * z.dim(2) * z.dim(3);
  WEFT_ASSERT(y.shape() == Shape({z.dim(1), z.dim(2), z.dim(3), channels}) &&
                  std::ssize(scale) == channels && std::ssize(shift) == channels,
              "latents_to_video: z {}, y {}", z.shape().str(), y.shape().str());
  const float* from = z.data<float>();
  float* to = y.data<float>();
  for_ranges(threads_, positions, channels * 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t c = 0; c < scale.size(); ++c) {
      const std::int64_t channel = static_cast<std::int64_t>(c);
      for (std::int64_t p = begin; p < end; ++p) {
        to[p * channels + channel] = from[channel * positions + p] * scale[c] + shift[c];
      }
    }
  });
}

void CpuOps::video_to_latents(const Tensor& y, std::span<const float> scale,
                              std::span<const float> shift, Tensor z) {
  const std::int64_t stride = y.dim(3), positions = y.dim(0) * y.dim(1) * y.dim(2);
  WEFT_ASSERT(z.shape() == Shape({z.dim(0), y.dim(0), y.dim(1), y.dim(2)}) && z.dim(0) <= stride &&
                  std::ssize(scale) == z.dim(0) && std::ssize(shift) == z.dim(0),
              "video_to_latents: y {}, z {}", y.shape().str(), z.shape().str());
  const float* from = y.data<float>();
  float* to = z.data<float>();
  for_ranges(threads_, positions, z.dim(0) * 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t c = 0; c < scale.size(); ++c) {
      const std::int64_t channel = static_cast<std::int64_t>(c);
      for (std::int64_t p = begin; p < end; ++p) {
        to[channel * positions + p] = (from[p * stride + channel] - shift[c]) * scale[c];
      }
    }
  });
}

}  // namespace weft::cpu
