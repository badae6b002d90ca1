#pragma once
// Rows of the models' own widths: a team of warps keeps its row in registers between the sums and
// the write, so that it is read once; the parameters of the rows wait in shared memory.

#include <type_traits>

#include "rows.cuh"

namespace weft::cuda {

extern __shared__ float4 dynamic_shared[];

/// Where element `column` of a parameter lies in shared memory: groups of 4, all first groups of
/// the packs of 8 before all second ones, so that the 16-byte reads of a warp meet no bank twice.
template <int pack, int width>
__device__ int shared_slot(int column) {
  static_assert(pack == 4 || pack == 8);
  return column % pack / 4 * (width / pack * 4) + column / pack * 4 + column % 4;
}

template <int pack, int width>
__device__ void load_shared(const float* parameter, int column, float (&to)[pack]) {
#pragma unroll
  for (int i = 0; i < pack; i += 4) {
    float part[4];
    load(parameter + shared_slot<pack, width>(column + i), part);
#pragma unroll
    for (int j = 0; j < 4; ++j) to[i + j] = part[j];
  }
}

/// The warps that share a row: so many that a lane holds at most 96 bytes of it, which leaves
/// registers for enough threads to keep the memory busy.
template <class T, int width>
constexpr int team_warps = [] {
  int warps = 1;
  while (width * static_cast<int>(sizeof(T)) > warps * warp * 96) warps *= 2;
  return warps;
}();

template <int warps>
class Team {
 public:
  static constexpr int lanes = warps * warp;
  static constexpr int in_block = block_warps / warps;  // teams in a block
  /// `partial` is shared memory of the block.
  __device__ explicit Team(float (&partial)[2][block_warps]) : partial_(partial) {}
  __device__ static int index() { return static_cast<int>(threadIdx.x) / lanes; }
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % lanes; }
  /// Sum over the team, in every lane. All teams of a block need not be at the same call.
  __device__ float sum(float x) {
    return over_warps(warp_sum(x), [](float a, float b) { return a + b; });
  }
  /// The largest of values that are not negative.
  __device__ float max(float x) {
    return over_warps(warp_max(x), [](float a, float b) { return fmaxf(a, b); });
  }

 private:
  /// combine(...(combine(0, x of the first warp), ...), x of the last).
  template <class F>
  __device__ float over_warps(float x, F combine) {
    if constexpr (warps > 1) {
      // Two buffers in turn: a warp that writes to one has met the others since they read it.
      float* partial = partial_[turn_];
      turn_ = 1 - turn_;
      if (cuda::lane() == 0) partial[warp_in_block()] = x;
      __syncwarp();
      asm volatile("bar.sync %0, %1;" ::"r"(1 + index()), "n"(lanes) : "memory");
      x = 0;
#pragma unroll
      for (int i = 0; i < warps; ++i) x = combine(x, partial[index() * warps + i]);
    }
    return x;
  }

  float (&partial_)[2][block_warps];
  int turn_ = 0;
};

/// Calls f(token, team) for the tokens of this team, while `shared` [count, width] holds the
/// parameters of the token. A block takes consecutive tokens, so the parameters rarely change.
template <class T, int width, int count, class F>
__device__ void for_tokens(const TokenParameter (&parameters)[count], std::int64_t tokens,
                           float* shared, F f) {
  constexpr int pack = pack_size<T>;
  __shared__ float partial[2][block_warps];
  Team<team_warps<T, width>> team(partial);
  const std::int64_t share = (tokens + gridDim.x - 1) / gridDim.x;
  const std::int64_t end = min(tokens, (blockIdx.x + 1) * share);
  for (std::int64_t begin = blockIdx.x * share; begin < end;) {
    std::int64_t until = end;
    __syncthreads();  // every warp is done with the parameters before
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const float* from = parameters[i].at(begin);
      until = parameters[i].until(begin, until);
      if (from == nullptr) continue;
      for (int j = static_cast<int>(threadIdx.x); j < width; j += block_threads) {
        shared[i * width + shared_slot<pack, width>(j)] = from[j];
      }
    }
    __syncthreads();
    for (std::int64_t token = begin + team.index(); token < until; token += team.in_block) {
      f(token, team);
    }
    begin = until;
  }
}

/// A row in the registers of a team: lane l holds the packs l, l + lanes, ... It stays in its own
/// type and is widened at each use.
template <class T, int width>
struct TeamRow {
  using Warps = Team<team_warps<T, width>>;
  static constexpr int pack = pack_size<T>;
  static constexpr int count = width / (Warps::lanes * pack);
  static_assert(count * Warps::lanes * pack == width);
  Pack<T, pack> packs[count];

  __device__ static int column(int k) { return (Warps::lane() + k * Warps::lanes) * pack; }
  __device__ void read(const T* row) {
#pragma unroll
    for (int k = 0; k < count; ++k) {
      packs[k] = *reinterpret_cast<const Pack<T, pack>*>(row + column(k));
    }
  }
  __device__ void write(T* row) const {
#pragma unroll
    for (int k = 0; k < count; ++k) {
      *reinterpret_cast<Pack<T, pack>*>(row + column(k)) = packs[k];
    }
  }
  /// Sum of f(element) over the row, in every lane.
  template <class F>
  __device__ float sum_of(Warps& team, F f) const {
    float sum[4] = {};  // several chains of additions, for their latency
#pragma unroll
    for (int k = 0; k < count; ++k) {
#pragma unroll
      for (int i = 0; i < pack; ++i) sum[i % 4] += f(to_float(packs[k].x[i]));
    }
    return team.sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
  }
};

/// Calls f(std::integral_constant<int, width>) and returns true where `width` is one of `widths`.
template <int... widths, class F>
bool at_width_of(int width, F f) {
  return ((width == widths && (f(std::integral_constant<int, widths>{}), true)) || ...);
}
/// At a width of the Wan transformers.
template <class F>
bool at_model_width(int width, F f) {
  return at_width_of<1536, 3072, 5120>(width, f);
}

constexpr int shared_bytes(int parameters, int width) {
  return parameters * width * static_cast<int>(sizeof(float));
}

}  // namespace weft::cuda
