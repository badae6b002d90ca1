#include "weft/io/picture_quality.h"

#include <cmath>
#include <limits>
#include <vector>

#include "weft/base/error.h"

namespace weft {
namespace {

constexpr std::int64_t block = 4;  // a window is two by two of these

/// Sums over the pixels of a block.
struct Sums {
  std::int64_t a = 0, b = 0, aa_bb = 0, ab = 0;

  Sums& operator+=(const Sums& s) {
    a += s.a;
    b += s.b;
    aa_bb += s.aa_bb;
    ab += s.ab;
    return *this;
  }
};

double ssim_of(const Sums& s) {
  constexpr double n = 4 * block * block;  // pixels
  constexpr double c1 = 0.01 * 0.01 * 255 * 255, c2 = 0.03 * 0.03 * 255 * 255;
  const double mean_a = static_cast<double>(s.a) / n, mean_b = static_cast<double>(s.b) / n;
  const double covariance = (static_cast<double>(s.ab) - n * mean_a * mean_b) / (n - 1);
  const double variances =
      (static_cast<double>(s.aa_bb) - n * (mean_a * mean_a + mean_b * mean_b)) / (n - 1);
  return (2 * mean_a * mean_b + c1) * (2 * covariance + c2) /
         ((mean_a * mean_a + mean_b * mean_b + c1) * (variances + c2));
}

/// Blocks [columns][R, G, B] of the four rows of pixels that begin at `a` and `b`.
void add_row(const std::uint8_t* a, const std::uint8_t* b, std::int64_t stride,
             std::vector<Sums>& row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    Sums sums;
    const auto first =
        static_cast<std::int64_t>(i / 3) * block * 3 + static_cast<std::int64_t>(i % 3);
    for (std::int64_t y = 0; y < block; ++y) {
      for (std::int64_t x = 0; x < block; ++x) {
        const std::int64_t at = y * stride + first + 3 * x;
        const std::int64_t va = a[at], vb = b[at];
        sums += {va, vb, va * va + vb * vb, va * vb};
      }
    }
    row[i] = sums;
  }
}

}  // namespace

double mean_squared_error(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  WEFT_ASSERT(a.size() == b.size() && !a.empty(), "{} and {} bytes", a.size(), b.size());
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int difference = int{a[i]} - int{b[i]};
    sum += difference * difference;
  }
  return static_cast<double>(sum) / static_cast<double>(a.size());
}

double psnr(double mse) {
  if (mse == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(255.0 * 255.0 / mse);
}

std::optional<double> ssim(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b,
                           std::int64_t width, std::int64_t height) {
  const auto bytes = static_cast<std::size_t>(width * height * 3);
  WEFT_ASSERT(a.size() == bytes && b.size() == bytes, "{} and {} bytes for {} x {}", a.size(),
              b.size(), width, height);
  const std::int64_t columns = width / block, rows = height / block;
  if (columns < 2 || rows < 2) return std::nullopt;
  const std::int64_t stride = width * 3;
  std::vector<Sums> above(static_cast<std::size_t>(columns * 3)), below(above.size());
  double sum = 0;
  for (std::int64_t y = 0; y < rows; ++y) {
    above.swap(below);
    add_row(a.data() + y * block * stride, b.data() + y * block * stride, stride, below);
    if (y == 0) continue;
    for (std::size_t i = 3; i < above.size(); ++i) {
      Sums window = above[i - 3];
      window += above[i];
      window += below[i - 3];
      window += below[i];
      sum += ssim_of(window);
    }
  }
  return sum / static_cast<double>((columns - 1) * (rows - 1) * 3);
}

}  // namespace weft
