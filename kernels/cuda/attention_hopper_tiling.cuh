#pragma once
// How the Hopper attention kernel divides its work: tiles, shared memory, rings, query blocks.

#include <algorithm>
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
/// query_stages 2: the next item's queries come while one is worked on, which makes short ones
/// shorter (78 keys: 0.088 instead of 0.135 ms) and long ones a few percent longer.
template <int Consumers, int Keys, bool Overlapped, bool InTurns, bool Lazy, int Cluster,
          int QueryStages = 1>
struct Tiling {
  static constexpr int consumers = Consumers;
  static constexpr int keys = Keys;  // of a tile
  static constexpr bool overlapped = Overlapped, in_turns = InTurns, lazy = Lazy;
  static constexpr int cluster = Cluster;
  static constexpr int stages = 2, query_stages = QueryStages;
  static constexpr int threads = (1 + Consumers) * group_threads;
  static constexpr std::uint32_t tile_bytes = Keys * head_width * sizeof(bf16);
  static constexpr std::uint32_t q_bytes = Consumers * group_rows * head_width * sizeof(bf16);
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
  bf16 q[T::query_stages][T::consumers][2][group_rows][half_width];  // results, on their way out
  bf16 k[T::stages][2][T::keys][half_width];
  bf16 v[T::stages][2][T::keys][half_width];
  Barrier q_full[T::query_stages], q_empty[T::query_stages];
  Barrier k_full[T::stages], k_empty[T::stages];
  Barrier v_full[T::stages], v_empty[T::stages];
};

/// Bytes of dynamic shared memory: its start may have to be moved to a multiple of 1024.
template <class T>
constexpr std::size_t shared_bytes = sizeof(Shared<T>) + 1024;

/// added: to what lies in out and lse. e4m3: rounded to it.
enum class Result : std::uint8_t { plain, added, e4m3 };

/// Who computes which query rows. A cluster takes as many neighbouring rows of one head as its
/// consumers hold, 64 each. Items that are left when every cluster has had as many are cut into
/// parts, if there are clusters enough for all parts: the last round is shorter when fewer
/// consumers of a block have work (one in three takes about half the time). Which rows a cluster
/// has changes no result: what happens to a row depends on that row alone.
struct Shares {
  int clusters;
  int in_head;  // items
  int whole;    // items that come undivided
  int parts;    // of the others
  int count;    // of undivided items and parts
};

template <class T>
Shares share_out(std::int64_t queries, std::int64_t heads, int processors) {
  constexpr int slots = T::cluster * T::consumers;
  Shares s{};
  s.in_head = static_cast<int>((queries + slots * group_rows - 1) / (slots * group_rows));
  const int items = s.in_head * static_cast<int>(heads);
  s.clusters = std::min(3 * items, processors / T::cluster);
  const int rest = items % s.clusters;
  s.whole = items - rest;
  s.parts = 1;
  for (const int parts : {2, 3}) {
    // In turns all consumers take part.
    if (!T::in_turns && slots % parts == 0 && rest * parts <= s.clusters) s.parts = parts;
  }
  s.count = s.whole + rest * s.parts;
  return s;
}

struct Problem {
  int queries, keys, heads;
  float scale;     // of q.k: logits
  float to_log2;   // of q.k: logits in powers of two
  float last_key;  // added to q.k of the last key
  float* lse;      // [H, Nq], may be nullptr
  // Results over other keys, whose lse is there already: they are added to; or nullptr.
  const bf16* onto;  // [Nq, H, 128]
  // Results in e4m3: on the device, what 448 of them stands for; else nullptr.
  const float* largest_out;
  Shares shares;
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

/// The share of this block: one item, or part of one, after the other.
template <class T>
class Work {
 public:
  __device__ __forceinline__ explicit Work(const Shares& shares)
      : shares_(shares),
        index_(static_cast<int>(blockIdx.x) / T::cluster),
        rank_(T::cluster == 1 ? 0 : cluster_rank()) {}
  __device__ __forceinline__ int rank() const { return rank_; }
  __device__ __forceinline__ bool left() const { return index_ < shares_.count; }
  __device__ __forceinline__ void next() { index_ += shares_.clusters; }
  __device__ __forceinline__ int head() const { return item() / shares_.in_head; }
  /// Whether that consumer of this block has rows; they may lie behind the last query.
  __device__ __forceinline__ bool busy(int consumer) const {
    return undivided() || slot(consumer) < slots / shares_.parts;
  }
  __device__ __forceinline__ int first_row(int consumer) const {
    const int part = undivided() ? 0 : (index_ - shares_.whole) % shares_.parts;
    return (item() % shares_.in_head * slots + part * (slots / shares_.parts) + slot(consumer)) *
           group_rows;
  }

 private:
  static constexpr int slots = T::cluster * T::consumers;  // of 64 rows
  __device__ __forceinline__ bool undivided() const { return index_ < shares_.whole; }
  /// Consumers in the order in which they get work: a part is spread over the cluster's blocks.
  [[nodiscard]] __device__ __forceinline__ int slot(int consumer) const {
    return consumer * T::cluster + rank_;
  }
  [[nodiscard]] __device__ __forceinline__ int item() const {
    return undivided() ? index_ : shares_.whole + (index_ - shares_.whole) / shares_.parts;
  }

  const Shares& shares_;  // in constant memory: consumers have no registers to spare
  int index_, rank_;
};

}  // namespace weft::cuda::hopper_attention
