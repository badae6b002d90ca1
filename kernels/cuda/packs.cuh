#pragma once
// How the elementwise and rearranging kernels share out their work: a thread per pack of elements
// that is moved in one 16-byte access, or per element where sizes or addresses do not allow it.

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "check.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {

inline constexpr int threads_per_block = 256;

/// Elements per pack when tensors of types T are read or written together: 16 bytes of the widest.
template <class... T>
inline constexpr int pack_of = std::max({sizeof(T)...}) == 2 ? 8 : 4;

/// Calls f(integral_constant N): N = pack_of<T...> where runs of `contiguous` elements and every
/// address allow packs, else 1.
template <class F, class... T>
void by_pack(std::int64_t contiguous, F f, const T*... addresses) {
  constexpr int n = pack_of<T...>;
  const auto aligned = [](const auto* p) {
    return reinterpret_cast<std::uintptr_t>(p) % (sizeof(*p) * n) == 0;
  };
  if (contiguous % n == 0 && (aligned(addresses) && ...)) {
    f(std::integral_constant<int, n>{});
  } else {
    f(std::integral_constant<int, 1>{});
  }
}

/// An unsigned type of so many bytes.
template <int bytes>
struct WordOf;
template <>
struct WordOf<2> {
  using type = unsigned short;
};
template <>
struct WordOf<4> {
  using type = unsigned;
};
template <>
struct WordOf<8> {
  using type = uint2;
};
template <>
struct WordOf<16> {
  using type = uint4;
};

/// N values converted to T, as one word. Storing one pack in several places takes this: of store()s
/// of the same values side by side the compiler makes element-wise ones.
template <class T, int N>
__device__ auto word(const float (&from)[N]) {
  Pack<T, N> p;
#pragma unroll
  for (int i = 0; i < N; ++i) p.x[i] = from_float<T>(from[i]);
  typename WordOf<sizeof p>::type w;
  memcpy(&w, &p, sizeof p);
  return w;
}

/// Calls op(plane, line, i) for every i < length of every line of every plane.
template <class Op>
__global__ void __launch_bounds__(threads_per_block)
    for_lines(std::int64_t planes, std::int64_t lines, int length, Op op) {
  const int i = static_cast<int>(blockIdx.x) * threads_per_block + static_cast<int>(threadIdx.x);
  if (i >= length) return;
  for (std::int64_t plane = blockIdx.z; plane < planes; plane += gridDim.z) {
    for (std::int64_t line = blockIdx.y; line < lines; line += gridDim.y) op(plane, line, i);
  }
}

/// Planes are frames or channels, lines what they consist of, `length` the elements or packs of a
/// line. Three counters, so that the operation need not divide a large index into them; what it
/// divides within a line is 32-bit, several times cheaper than 64.
template <class Op>
void launch_lines(const char* name, std::int64_t planes, std::int64_t lines, std::int64_t length,
                  const Op& op) {
  constexpr std::int64_t grid_limit = 65535;  // of a grid's second and third dimension
  WEFT_ASSERT(length < (std::int64_t{1} << 30), "{}: lines of {} elements", name, length);
  if (planes == 0 || lines == 0 || length == 0) return;
  const dim3 grid(blocks_for(length, threads_per_block),
                  static_cast<unsigned>(std::min(lines, grid_limit)),
                  static_cast<unsigned>(std::min(planes, grid_limit)));
  for_lines<<<grid, threads_per_block, 0, cuda_stream()>>>(planes, lines, static_cast<int>(length),
                                                           op);
  check_launch(name);
}

}  // namespace weft::cuda
