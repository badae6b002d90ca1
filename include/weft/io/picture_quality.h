#pragma once
// How near two pictures are, by the two usual figures.

#include <cstdint>
#include <optional>
#include <span>

namespace weft {

/// Mean over all pixels and R, G, B of (a - b)^2, in units of 8-bit values (0 ... 255^2).
double mean_squared_error(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

/// Peak signal-to-noise ratio in dB, 10 log10(255^2 / mse); infinite for 0.
double psnr(double mse);

/// Structural similarity (Wang, Bovik, Sheikh, Simoncelli: "Image Quality Assessment: From Error
/// Visibility to Structural Similarity", 2004), 1 for equal pictures, of rgb24 [height, width, 3]:
/// mean over R, G, B of the mean over windows of
///   (2 m_a m_b + C1) (2 cov + C2) / ((m_a^2 + m_b^2 + C1) (var_a + var_b + C2)),
/// C1 = (0.01 x 255)^2, C2 = (0.03 x 255)^2. Windows are 8 x 8 pixels, evenly weighted, 4 apart, as
/// FFmpeg's ssim filter has them; what lies beyond a multiple of 4 is left out. Nothing when no
/// window fits.
std::optional<double> ssim(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b,
                           std::int64_t width, std::int64_t height);

}  // namespace weft
