// Rearrangements of channels-last video [T, H, W, C].
#include <algorithm>

#include "cpu_ops.h"
#include "parallel.h"

namespace weft::cpu {

void CpuOps::upsample2x(const Tensor& x, Tensor y) {
  const std::int64_t height = x.dim(1), width = x.dim(2), channels = x.dim(3);
  WEFT_ASSERT(y.shape() == Shape({x.dim(0), 2 * height, 2 * width, channels}),
              "upsample2x: x {}, y {}", x.shape().str(), y.shape().str());
  const float* from = x.data<float>();
  float* to = y.data<float>();
  for_ranges(threads_, x.dim(0) * height * 2, width * channels * 12,
             [=](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end;
                    ++row) {  // rows of y; row / 2 runs over rows of x
                 for (std::int64_t w = 0; w < width; ++w) {
                   const float* pixel = from + (row / 2 * width + w) * channels;
                   float* at = to + (row * width + w) * 2 * channels;
                   std::copy_n(pixel, channels, at);
                   std::copy_n(pixel, channels, at + channels);
                 }
               }
             });
}

void CpuOps::channels_to_frames(const Tensor& x, Tensor y) {
  const std::int64_t channels = y.dim(3), positions = x.dim(1) * x.dim(2);
  WEFT_ASSERT(
      x.dim(3) == 2 * channels && y.shape() == Shape({2 * x.dim(0), x.dim(1), x.dim(2), channels}),
      "channels_to_frames: x {}, y {}", x.shape().str(), y.shape().str());
  const float* from = x.data<float>();
  float* to = y.data<float>();
  for_ranges(threads_, x.dim(0) * positions, channels * 16,
             [=](std::int64_t begin, std::int64_t end) {
               for (std::int64_t i = begin; i < end; ++i) {
                 const std::int64_t t = i / positions, p = i % positions;
                 for (std::int64_t a = 0; a < 2; ++a) {
                   std::copy_n(from + (2 * i + a) * channels, channels,
                               to + ((2 * t + a) * positions + p) * channels);
                 }
               }
             });
}

void CpuOps::add_dup_up(const Tensor& x, std::int64_t ft, std::int64_t drop_first, Tensor y) {
  const std::int64_t height = y.dim(1), width = y.dim(2), outputs = y.dim(3);
  const std::int64_t channels = x.dim(3);
  WEFT_ASSERT((ft == 1 || ft == 2) && 0 <= drop_first && drop_first < ft &&
                  y.dim(0) == x.dim(0) * ft - drop_first && height == 2 * x.dim(1) &&
                  width == 2 * x.dim(2) && outputs * ft * 4 % channels == 0,
              "add_dup_up: x {}, y {}, frame growth {}, dropped {}", x.shape().str(),
              y.shape().str(), ft, drop_first);
  const std::int64_t repeats = outputs * ft * 4 / channels;
  const float* from = x.data<float>();
  float* to = y.data<float>();
  for_ranges(threads_, y.dim(0) * height, width * outputs * 12,
             [=](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end; ++row) {
                 const std::int64_t t = row / height + drop_first, h = row % height;
                 for (std::int64_t w = 0; w < width; ++w) {
                   const float* pixel =
                       from + ((t / ft * (height / 2) + h / 2) * (width / 2) + w / 2) * channels;
                   float* at = to + (row * width + w) * outputs;
                   for (std::int64_t o = 0; o < outputs; ++o) {
                     at[o] += pixel[(((o * ft + t % ft) * 2 + h % 2) * 2 + w % 2) / repeats];
                   }
                 }
               }
             });
}

void CpuOps::add_avg_down(const Tensor& x, std::int64_t ft, Tensor y) {
  const std::int64_t height = y.dim(1), width = y.dim(2), outputs = y.dim(3);
  const std::int64_t channels = x.dim(3);
  WEFT_ASSERT(
      (ft == 1 || ft == 2) && y.dim(0) == (x.dim(0) + ft - 1) / ft && x.dim(1) == 2 * height &&
          x.dim(2) == 2 * width && channels * ft * 4 % outputs == 0,
      "add_avg_down: x {}, y {}, frames per group {}", x.shape().str(), y.shape().str(), ft);
  const std::int64_t group = channels * ft * 4 / outputs;
  const std::int64_t missing = y.dim(0) * ft - x.dim(0);  // zero frames before the first
  const float* from = x.data<float>();
  float* to = y.data<float>();
  for_ranges(
      threads_, y.dim(0) * height, width * (outputs + channels * ft) * 8,
      [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t t = row / height, h = row % height;
          for (std::int64_t w = 0; w < width; ++w) {
            float* at = to + (row * width + w) * outputs;
            for (std::int64_t o = 0; o < outputs; ++o) {
              float sum = 0;
              for (std::int64_t f = o * group; f < (o + 1) * group;
                   ++f) {  // f = ((c ft + a) 2 + b) 2 + e
                const std::int64_t e = f % 2, b = f / 2 % 2, a = f / 4 % ft, c = f / (4 * ft);
                const std::int64_t frame = t * ft + a - missing;
                if (frame < 0) continue;
                sum +=
                    from[((frame * 2 * height + 2 * h + b) * 2 * width + 2 * w + e) * channels + c];
              }
              at[o] += sum / static_cast<float>(group);
            }
          }
        }
      });
}

void CpuOps::pixel_patchify(const Tensor& x, std::int64_t p, Tensor y) {
  const std::int64_t height = y.dim(1), width = y.dim(2), channels = x.dim(3);
  WEFT_ASSERT(x.shape() == Shape({y.dim(0), height * p, width * p, channels}) &&
                  y.dim(3) == channels * p * p,
              "pixel_patchify: x {}, patch {}, y {}", x.shape().str(), p, y.shape().str());
  const float* from = x.data<float>();
  float* to = y.data<float>();
  for_ranges(threads_, y.dim(0) * height, width * channels * p * p * 8,
             [=](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end; ++row) {
                 for (std::int64_t w = 0; w < width; ++w) {
                   float* at = to + (row * width + w) * channels * p * p;
                   for (std::int64_t c = 0; c < channels; ++c) {
                     for (std::int64_t e = 0; e < p; ++e) {
                       for (std::int64_t b = 0; b < p; ++b) {
                         at[(c * p + e) * p + b] =
                             from[((row * p + b) * width * p + w * p + e) * channels + c];
                       }
                     }
                   }
                 }
               }
             });
}

void CpuOps::pixel_unpatchify(const Tensor& x, std::int64_t p, Tensor y) {
  const std::int64_t height = x.dim(1), width = x.dim(2), channels = y.dim(3);
  WEFT_ASSERT(y.shape() == Shape({x.dim(0), height * p, width * p, channels}) &&
                  x.dim(3) == channels * p * p,
              "pixel_unpatchify: x {}, patch {}, y {}", x.shape().str(), p, y.shape().str());
  const float* from = x.data<float>();
  float* to = y.data<float>();
  for_ranges(threads_, x.dim(0) * height, width * channels * p * p * 8,
             [=](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end; ++row) {
                 for (std::int64_t w = 0; w < width; ++w) {
                   const float* at = from + (row * width + w) * channels * p * p;
                   for (std::int64_t c = 0; c < channels; ++c) {
                     for (std::int64_t e = 0; e < p; ++e) {
                       for (std::int64_t b = 0; b < p; ++b) {
                         to[((row * p + b) * width * p + w * p + e) * channels + c] =
                             at[(c * p + e) * p + b];
                       }
                     }
                   }
                 }
               }
             });
}

}  // namespace weft::cpu
