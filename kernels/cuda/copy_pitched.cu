// Copies of rows that lie apart, many in one launch. The driver's own pitched copies take one call
// each, no pitch of 2 GB, and move short rows at a fraction of the memory's speed.
#include <algorithm>
#include <bit>
#include <cstdint>

#include "check.h"
#include "copy_pitched.h"
#include "stream.h"

namespace weft::cuda {
namespace {

constexpr int threads = 256;
constexpr int unroll = 4;         // loads of a thread under way at once
constexpr std::size_t most = 32;  // copies of a launch: their places are parameters of the kernel
constexpr unsigned blocks = 132 * 8;  // of a copy at most; more than any GPU holds at once

struct Places {
  PitchedCopy copies[most];
};

template <class Vector, class Index>
struct Cursor {
  const PitchedCopy& c;
  Index width, rows;  // of a row, in vectors; of a slice
  __device__ Index slice(Index i) const { return i / width / rows; }
  __device__ Index row(Index i) const { return i / width % rows; }
  __device__ const Vector* from(Index i) const {
    return reinterpret_cast<const Vector*>(static_cast<const std::byte*>(c.from) +
                                           slice(i) * c.from_slice + row(i) * c.from_row) +
           i % width;
  }
  __device__ Vector* to(Index i) const {
    return reinterpret_cast<Vector*>(static_cast<std::byte*>(c.to) + slice(i) * c.to_slice +
                                     row(i) * c.to_row) +
           i % width;
  }
};

template <class Vector, class Index>
__global__ void __launch_bounds__(threads) copy(const __grid_constant__ Places places) {
  const PitchedCopy& c = places.copies[blockIdx.y];
  const Cursor<Vector, Index> at{c, static_cast<Index>(c.width / sizeof(Vector)),
                                 static_cast<Index>(c.rows)};
  const std::uint64_t total = c.width / sizeof(Vector) * c.rows * c.slices;
  const std::uint64_t step = std::uint64_t{gridDim.x} * threads;
  for (std::uint64_t begin = std::uint64_t{blockIdx.x} * threads + threadIdx.x; begin < total;
       begin += step * unroll) {
    Vector held[unroll];
#pragma unroll
    for (int j = 0; j < unroll; ++j) {
      const std::uint64_t i = begin + j * step;
      if (i < total) held[j] = *at.from(static_cast<Index>(i));
    }
#pragma unroll
    for (int j = 0; j < unroll; ++j) {
      const std::uint64_t i = begin + j * step;
      if (i < total) *at.to(static_cast<Index>(i)) = held[j];
    }
  }
}

/// 16 or less: every place and step of `copies` is a multiple of it.
std::size_t common_alignment(std::span<const PitchedCopy> copies) {
  std::uint64_t all = 16;
  for (const PitchedCopy& c : copies) {
    all |= reinterpret_cast<std::uintptr_t>(c.to) | reinterpret_cast<std::uintptr_t>(c.from);
    all |= c.width;
    if (c.rows > 1) all |= c.to_row | c.from_row;
    if (c.slices > 1) all |= c.to_slice | c.from_slice;
  }
  return std::size_t{1} << std::countr_zero(all);
}

template <class Vector>
void launch(std::span<const PitchedCopy> copies) {
  Places places{};
  std::ranges::copy(copies, places.copies);
  std::uint64_t largest = 0;
  for (const PitchedCopy& c : copies) {
    largest = std::max<std::uint64_t>(largest, c.width / sizeof(Vector) * c.rows * c.slices);
  }
  const std::uint64_t wanted = (largest + threads * unroll - 1) / (threads * unroll);
  const dim3 grid(static_cast<unsigned>(std::min<std::uint64_t>(wanted, blocks)),
                  static_cast<unsigned>(copies.size()));
  // Divisions of 64 bits cost more than the copy.
  if (largest <= UINT32_MAX) {
    copy<Vector, std::uint32_t><<<grid, threads, 0, cuda_stream()>>>(places);
  } else {
    copy<Vector, std::uint64_t><<<grid, threads, 0, cuda_stream()>>>(places);
  }
  check_launch("copy_pitched");
}

}  // namespace

void copy_pitched(std::span<const PitchedCopy> copies) {
  for (std::size_t begin = 0; begin < copies.size(); begin += most) {
    const auto part = copies.subspan(begin, std::min(most, copies.size() - begin));
    switch (common_alignment(part)) {
      case 16:
        launch<uint4>(part);
        break;
      case 8:
        launch<uint2>(part);
        break;
      case 4:
        launch<unsigned>(part);
        break;
      case 2:
        launch<unsigned short>(part);
        break;
      default:
        launch<unsigned char>(part);
    }
  }
}

}  // namespace weft::cuda
