#pragma once
// Noise as a function of the seed and the global position, so that any rank can draw its share.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace weft {

/// torch.randn(n) of a torch CPU generator seeded with `seed`, bit-compatible up to libm rounding
/// (mt19937; n >= 16: 24-bit uniforms and Box-Muller over blocks of 16, a remainder redraws the
/// last 16; n < 16: 53-bit uniforms from two draws, sine kept for the next value).
std::vector<float> torch_randn(std::uint64_t seed, std::int64_t n);

/// Philox4x32-10 (Salmon et al., SC'11): four random words for a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

/// Unit normals for global indices [first, first + out.size()): element i depends only on
/// (seed, first + i). Each block of four indices is one Philox call and two Box-Muller pairs.
void philox_randn(std::uint64_t seed, std::int64_t first, std::span<float> out);

}  // namespace weft
