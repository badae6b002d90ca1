// Pillow's resampling for 8-bit channels, step by step the same arithmetic: the conditioning image
// of the reference pipelines goes through it, so every rounding counts.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "weft/base/error.h"
#include "weft/io/image.h"

namespace weft {
namespace {

constexpr int precision_bits = 32 - 8 - 2;  // 8 bits of pixel, 2 of head room for overshoot
constexpr double lanczos_support = 3.0;

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) {
  return -lanczos_support <= x && x < lanczos_support ? sinc(x) * sinc(x / lanczos_support) : 0.0;
}

/// Which inputs make one output, and how much of each in 22-bit fixed point.
struct Taps {
  std::int64_t first = 0;
  std::vector<std::int32_t> weights;
};

Taps taps_of(std::int64_t output, std::int64_t in_size, double scale) {
  const double filter_scale = std::max(scale, 1.0);
  const double support = lanczos_support * filter_scale;
  const double center = (static_cast<double>(output) + 0.5) * scale;
  const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
  const auto end =
      std::min<std::int64_t>(static_cast<std::int64_t>(center + support + 0.5), in_size);
  const double inverse_scale = 1.0 / filter_scale;
  std::vector<double> weights;
  double sum = 0;
  for (std::int64_t x = first; x < end; ++x) {
    weights.push_back(lanczos((static_cast<double>(x) - center + 0.5) * inverse_scale));
    sum += weights.back();
  }
  Taps taps{first, {}};
  for (double w : weights) {
    if (sum != 0.0) w /= sum;
    const double fixed = w * (1 << precision_bits);
    taps.weights.push_back(static_cast<std::int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
  }
  return taps;
}

std::vector<Taps> all_taps(std::int64_t in_size, std::int64_t out_size) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  std::vector<Taps> taps;
  taps.reserve(static_cast<std::size_t>(out_size));
  for (std::int64_t i = 0; i < out_size; ++i) taps.push_back(taps_of(i, in_size, scale));
  return taps;
}

std::uint8_t clip_8(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision_bits, 0, 255));
}

// One output byte: `weights.size()` inputs, `stride` bytes apart.
std::uint8_t weigh(const std::uint8_t* in, std::size_t stride,
                   const std::vector<std::int32_t>& weights) {
  std::int32_t sum = 1 << (precision_bits - 1);
  for (const std::int32_t weight : weights) {
    sum += *in * weight;
    in += stride;
  }
  return clip_8(sum);
}

// Only rows [first_row, first_row + rows) are needed by the vertical pass.
Image resize_rows(const Image& in, std::int64_t width, std::int64_t first_row, std::int64_t rows) {
  const auto taps = all_taps(in.width, width);
  Image out{width, rows, {}};
  out.rgb.resize(static_cast<std::size_t>(width * rows * 3));
  std::uint8_t* to = out.rgb.data();
  for (std::int64_t y = 0; y < rows; ++y) {
    const std::uint8_t* row = in.rgb.data() + (first_row + y) * in.width * 3;
    for (const Taps& tap : taps) {
      for (int c = 0; c < 3; ++c) *to++ = weigh(row + tap.first * 3 + c, 3, tap.weights);
    }
  }
  return out;
}

// `in` begins at row `first_row` of the picture the taps speak of.
Image resize_columns(const Image& in, const std::vector<Taps>& taps, std::int64_t first_row) {
  Image out{in.width, static_cast<std::int64_t>(taps.size()), {}};
  const auto row_bytes = static_cast<std::size_t>(in.width) * 3;
  out.rgb.resize(row_bytes * taps.size());
  std::uint8_t* to = out.rgb.data();
  for (const Taps& tap : taps) {
    const std::uint8_t* from =
        in.rgb.data() + static_cast<std::size_t>(tap.first - first_row) * row_bytes;
    for (std::size_t i = 0; i < row_bytes; ++i) *to++ = weigh(from + i, row_bytes, tap.weights);
  }
  return out;
}

}  // namespace

Image resize_lanczos(const Image& image, std::int64_t width, std::int64_t height) {
  WEFT_ASSERT(image.width > 0 && image.height > 0 && width > 0 && height > 0,
              "resize of {}x{} to {}x{}", image.width, image.height, width, height);
  WEFT_ASSERT(image.rgb.size() == static_cast<std::size_t>(image.width * image.height * 3),
              "{} bytes for {}x{}", image.rgb.size(), image.width, image.height);
  if (height == image.height) {
    return width == image.width ? image : resize_rows(image, width, 0, height);
  }
  const auto taps = all_taps(image.height, height);
  if (width == image.width) return resize_columns(image, taps, 0);
  const std::int64_t first_row = taps.front().first;
  const std::int64_t end_row =
      taps.back().first + static_cast<std::int64_t>(taps.back().weights.size());
  return resize_columns(resize_rows(image, width, first_row, end_row - first_row), taps, first_row);
}

}  // namespace weft
