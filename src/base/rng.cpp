#include "weft/base/rng.h"

#include <cmath>
#include <numbers>
#include <random>

namespace weft {
namespace {

using std::numbers::pi;
using std::numbers::pi_v;

// One block of torch's vectorised normal_fill: the first 8 uniforms are radii, the second 8 angles.
void box_muller_16(float* x) {
  for (int i = 0; i < 8; ++i) {
    const float radius = std::sqrt(-2.0F * std::log(1.0F - x[i]));
    const float angle = 2.0F * pi_v<float> * x[i + 8];
    x[i] = radius * std::cos(angle);
    x[i + 8] = radius * std::sin(angle);
  }
}

float uniform24(std::mt19937& engine) {
  return static_cast<float>(engine() & 0xFFFFFFU) * 0x1p-24F;
}

double uniform53(std::mt19937& engine) {
  const std::uint64_t high = engine();  // the high word is drawn first
  const std::uint64_t low = engine();
  return static_cast<double>(((high << 32) | low) & ((1ULL << 53) - 1)) * 0x1p-53;
}

}  // namespace

std::vector<float> torch_randn(std::uint64_t seed, std::int64_t n) {
  // torch seeds mt19937 with the low 32 bits.
  std::mt19937 engine(static_cast<std::mt19937::result_type>(seed));
  std::vector<float> out(static_cast<std::size_t>(n));
  if (n >= 16) {
    for (float& x : out) x = uniform24(engine);
    for (std::int64_t i = 0; i + 16 <= n; i += 16) box_muller_16(out.data() + i);
    if (n % 16 != 0) {
      float* last = out.data() + n - 16;
      for (int i = 0; i < 16; ++i) last[i] = uniform24(engine);
      box_muller_16(last);
    }
    return out;
  }
  for (std::size_t i = 0; i < out.size(); i += 2) {
    const double u1 = uniform53(engine);
    const double u2 = uniform53(engine);
    const double radius = std::sqrt(-2.0 * std::log1p(-u2));
    out[i] = static_cast<float>(radius * std::cos(2 * pi * u1));
    if (i + 1 < out.size()) out[i + 1] = static_cast<float>(radius * std::sin(2 * pi * u1));
  }
  return out;
}

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> c,
                                        std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ULL * c[0];
    const std::uint64_t p1 = 0xCD9E8D57ULL * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
    k[0] += 0x9E3779B9U;  // Weyl sequence of the key (golden ratio, sqrt(3) - 1)
    k[1] += 0xBB67AE85U;
  }
  return c;
}

void philox_randn(std::uint64_t seed, std::int64_t first, std::span<float> out) {
  const std::array<std::uint32_t, 2> key{static_cast<std::uint32_t>(seed),
                                         static_cast<std::uint32_t>(seed >> 32)};
  std::array<float, 4> block{};
  std::int64_t made = -1;  // index of the block held
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t index = first + static_cast<std::int64_t>(i);
    if (index / 4 != made) {
      made = index / 4;
      const auto low = static_cast<std::uint64_t>(made);
      const auto word = philox4x32(
          {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32), 0, 0}, key);
      for (std::size_t pair = 0; pair < 4; pair += 2) {
        // (w + 1/2) 2^-32 lies strictly between 0 and 1, so the logarithm is finite.
        const double u1 = (static_cast<double>(word[pair]) + 0.5) * 0x1p-32;
        const double u2 = (static_cast<double>(word[pair + 1]) + 0.5) * 0x1p-32;
        const double radius = std::sqrt(-2.0 * std::log(u1));
        block[pair] = static_cast<float>(radius * std::cos(2 * pi * u2));
        block[pair + 1] = static_cast<float>(radius * std::sin(2 * pi * u2));
      }
    }
    out[i] = block[static_cast<std::size_t>(index % 4)];
  }
}

}  // namespace weft
