#pragma once
// How the Hopper attention kernel divides its work: tiles, shared memory, rings, query blocks.

#include <cstddef>
#include <cstdint>

#include "attention_hopper_blocks.cuh"
#include "vectors.cuh"

namespace weft::cuda::hopper_attention {

constexpr int head_width = 128;
constexpr int half_width = head_width / 2;  // one row of a swizzled column
constexpr int group_rows = 64;              // query rows of a consumer warpgroup
constexpr int group_threads = 128;

/// overlapped: a tile's q k^T runs with the previous tile's weights times V, under the softmax
/// between. in_turns: consumers start their products one after another, so that the softmax of one
/// runs under the products of the others. lazy: see lazy_rise. cluster: blocks that share K and V.
template <int Consumers, int Keys, bool Overlapped, bool InTurns, bool Lazy, int Cluster>
struct Tiling {
  static constexpr int consumers = Consumers;
  static constexpr int keys = Keys;  // of a tile
  static constexpr bool overlapped = Overlapped, in_turns = InTurns, lazy = Lazy;
  static constexpr int cluster = Cluster;
  static constexpr int stages = 2;
  static constexpr int threads = (1 + Consumers) * group_threads;
  static constexpr int rows = Consumers * group_rows;  // queries of a block
  static constexpr std::uint32_t tile_bytes = Keys * head_width * sizeof(bf16);
  // All of a multiprocessor's 65,536 registers, in steps of eight a thread.
  static constexpr int producer_registers = Consumers == 2 ? 40 : 32;
  static constexpr int consumer_registers = Consumers == 2 ? 232 : 160;
  static_assert(Consumers == 2 || Consumers == 3);
  static_assert(Cluster == 1 || Cluster == 2);
  static_assert(Keys % 16 == 0 && Keys <= 256);
  static_assert(Overlapped || !InTurns);
};

/// What a block keeps in shared memory; rows of 64 columns in the 128-byte swizzle.
template <class T>
struct alignas(1024) Shared {
  bf16 q[T::consumers][2][group_rows][half_width];  // the results, on their way out
  bf16 k[T::stages][2][T::keys][half_width];
  bf16 v[T::stages][2][T::keys][half_width];
  Barrier q_full, q_empty;
  Barrier k_full[T::stages], k_empty[T::stages];
  Barrier v_full[T::stages], v_empty[T::stages];
};

/// Bytes of dynamic shared memory: its start may have to be moved to a multiple of 1024.
template <class T>
constexpr std::size_t shared_bytes = sizeof(Shared<T>) + 1024;

struct Problem {
  int queries, keys, heads;
  float scale;     // of q.k: logits
  float to_log2;   // of q.k: logits in powers of two
  float last_key;  // added to q.k of the last key
  float* lse;      // [H, Nq], may be nullptr
  // Results in e4m3: on the device, what 448 of them stands for; else nullptr.
  const float* largest_out;
};

/// Boxes over [N, H, 128]: 64 columns of one head by some rows; coordinates column, row, head.
struct Maps {
  CUtensorMap q, k, v, out;
};
CUtensorMap head_map(const Tensor& x, int box_rows);
/// The same over e4m3 [N, H, 128], whose box has all 128 columns of one head.
CUtensorMap e4m3_head_map(const Tensor& x, int box_rows);

/// The place in a ring, for the one who fills it as for those who empty it.
template <int Stages>
struct Place {
  int stage = 0;
  std::uint32_t parity = 0;
  __device__ __forceinline__ void next() {
    if (++stage == Stages) {
      stage = 0;
      parity ^= 1;
    }
  }
};

/// The share of this block: the cluster's blocks take neighbouring query blocks of one head. The
/// last of them may lie behind the last query: it helps to copy, and writes nothing.
template <class T>
struct Work {
  int groups, count, index, step, rank;  // `count` groups of query blocks, `groups` in a head

  __device__ __forceinline__ explicit Work(const Problem& p)
      : groups((p.queries + T::rows * T::cluster - 1) / (T::rows * T::cluster)),
        count(groups * p.heads),
        index(static_cast<int>(blockIdx.x) / T::cluster),
        step(static_cast<int>(gridDim.x) / T::cluster),
        rank(T::cluster == 1 ? 0 : cluster_rank()) {}
  __device__ __forceinline__ bool left() const { return index < count; }
  __device__ __forceinline__ void next() { index += step; }
  __device__ __forceinline__ int head() const { return index / groups; }
  __device__ __forceinline__ int first_row() const {
    return (index % groups * T::cluster + rank) * T::rows;
  }
};

}  // namespace weft::cuda::hopper_attention
