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
  static constexpr bool e4m3 = false;
  static constexpr int parts = 2;  // columns of 64 bf16 that a row has
  static constexpr int v_rows = Keys;
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

/// As Tiling, with operands in e4m3 and V transposed. A tile's weights times V are summed by
/// themselves and added to what there is in float32: the tensor cores keep some 14 bits of an e4m3
/// sum, too few for thousands of keys.
///
/// No clusters: forwards took as long with pairs of blocks as without (1.3B 0.2994 and 0.3005 s on
/// an H100, 14B 1.600 and 1.601 s on an H200), and the compiler then ran out of registers for
/// results in bf16 and put the products one after another.
struct TilingE4m3 {
  static constexpr bool e4m3 = true;
  static constexpr int parts = 1;
  static constexpr int consumers = 3;
  static constexpr int keys = 128;
  /// Behind the columns of the head one of ones, whose values are the sums of weights, and zeros up
  /// to a multiple of eight.
  static constexpr int v_rows = head_width + 8;
  static constexpr bool overlapped = false, in_turns = true, lazy = false;
  static constexpr int cluster = 1;
  static constexpr int stages = 4, query_stages = 1;
  static constexpr int threads = (1 + consumers) * group_threads;
  static constexpr std::uint32_t tile_bytes = keys * head_width;
  static constexpr std::uint32_t q_bytes = consumers * group_rows * head_width;
  static constexpr int producer_registers = 32, consumer_registers = 160;
  /// The largest weight of a row is 2^8, below e4m3's largest number, 448: so weights down to 2^-14
  /// of it have all their bits.
  static constexpr int weights_log2 = 8;
};

/// A row in shared memory: 64 bf16 or 128 e4m3.
struct Row {
  std::byte bytes[128];
};

/// What a block keeps in shared memory; rows in the 128-byte swizzle.
template <class T>
struct alignas(1024) Shared {
  Row q[T::query_stages][T::consumers][2][group_rows];  // results, on their way out
  Row k[T::stages][T::parts][T::keys];
  Row v[T::stages][T::parts][T::v_rows];  // in e4m3 of columns of the head, keys in a row
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
    // In turns all consumers take part: with turns that are passed on it took longer in e4m3, even
    // where nothing was cut (12 heads x 32,760 tokens: 1.18 times cuDNN's time, now 0.9 to 1.1).
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
  // Operands in e4m3: on the device, what one of each stands for; else nullptr.
  const float *descale_q, *descale_k, *descale_v;
  Shares shares;
};

/// Boxes over [N, H, 128]: 64 columns of one head by some rows; coordinates column, row, head.
struct Maps {
  CUtensorMap q, k, v, out;
};
CUtensorMap head_map(const Tensor& x, int box_rows);
/// The same over e4m3 [N, H, 128], whose box has all 128 columns of one head.
CUtensorMap e4m3_head_map(const Tensor& x, int box_rows);
/// Over e4m3 [H, 128, N], N a multiple of 128: boxes of 128 of N by all columns of a head;
/// coordinates of N, column, head.
CUtensorMap e4m3_transposed_map(const Tensor& x);

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
