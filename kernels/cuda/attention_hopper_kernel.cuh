#pragma once
// The Hopper attention kernel, in the shapes that a Tiling gives it.
//
// A block takes 64 query rows of one head per consumer warpgroup and walks over tiles of keys, the
// last tile first (so that only the first step masks). One thread of the producer warpgroup copies
// tiles of K and V into two rings in shared memory; the blocks of a cluster have neighbouring
// queries of the same head, and each copies half of every tile into all of them. A consumer's
// logits, weights and sums never leave its registers. Blocks are persistent, heads outermost: all
// of them work on the keys of one head, which L2 holds.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "weft/ops/ops.h"

#include "attention_fp8.h"
#include "attention_hopper_blocks.cuh"
#include "attention_hopper_consumer.cuh"
#include "attention_hopper_e4m3.cuh"
#include "attention_hopper_softmax.cuh"
#include "attention_hopper_tiling.cuh"
#include "check.h"
#include "quantize.cuh"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda::hopper_attention {

// ---- producer ----------------------------------------------------------------------------------

/// The tile whose first number is at that column and row; of a cluster's two blocks each copies one
/// of two parts into both.
template <class T, int Count>
__device__ __forceinline__ void load_tile(Row (&to)[T::parts][Count], Barrier& full, Barrier& empty,
                                          std::uint32_t parity, const CUtensorMap& map, int column,
                                          int row, int head, int rank) {
  wait(empty, parity ^ 1);
  arrive_expecting(full, T::tile_bytes);
  if constexpr (T::cluster == 1) {
    for (int i = 0; i < T::parts; ++i) {
      load_box(to[i], full, map, column + i * half_width, row, head);
    }
  } else {
    static_assert(T::cluster == T::parts);
    load_box_for(0b11, to[rank], full, map, column + rank * half_width, row, head);
  }
}

/// In the order in which consumers need things: a tile's K comes before the previous tile's V.
template <class T>
__device__ __forceinline__ void produce(Shared<T>& shared, const Maps& maps, const Problem& p) {
  Place<T::query_stages> q;
  Place<T::stages> k, v;
  const auto load_k = [&](int tile, int head, int rank) {
    load_tile<T>(shared.k[k.stage], shared.k_full[k.stage], shared.k_empty[k.stage], k.parity,
                 maps.k, 0, tile * T::keys, head, rank);
    k.next();
  };
  const auto load_v = [&](int tile, int head, int rank) {
    load_tile<T>(shared.v[v.stage], shared.v_full[v.stage], shared.v_empty[v.stage], v.parity,
                 maps.v, T::e4m3 ? tile * T::keys : 0, T::e4m3 ? 0 : tile * T::keys, head, rank);
    v.next();
  };
  const int tiles = (p.keys + T::keys - 1) / T::keys;
  for (Work<T> work(p.shares); work.left(); work.next()) {
    const int head = work.head();
    Barrier& full = shared.q_full[q.stage];
    wait(shared.q_empty[q.stage], q.parity ^ 1);
    arrive_expecting(full, T::q_bytes);
    for (int g = 0; g < T::consumers; ++g) {
      const int row = work.first_row(g);
      for (int i = 0; i < T::parts; ++i) {
        load_box(shared.q[q.stage][g][i], full, maps.q, i * half_width, row, head);
      }
    }
    q.next();
    load_k(tiles - 1, head, work.rank());
    for (int tile = tiles - 2; tile >= 0; --tile) {
      load_k(tile, head, work.rank());
      load_v(tile + 1, head, work.rank());
    }
    load_v(0, head, work.rank());
  }
}

// ---- consumers ---------------------------------------------------------------------------------

/// s = q k^T: q [2][64][64], k [2][keys][64].
template <class T>
__device__ __forceinline__ void start_logits(float (&s)[T::keys / 2], std::uint64_t q,
                                             std::uint64_t k) {
  wgmma_fence();
  wgmma<true>(s, q, k);
#pragma unroll
  for (int i = 1; i < head_width / 16; ++i) {
    const std::uint32_t half = i / 4, within = i % 4 * 32;
    wgmma<false>(s, advanced(q, half * group_rows * 128 + within),
                 advanced(k, half * T::keys * 128 + within));
  }
  wgmma_commit();
}
/// o += p v: v [2][keys][64].
template <class T>
__device__ __forceinline__ void start_values(float (&o)[head_width / 2],
                                             const std::uint32_t (&p)[T::keys / 4],
                                             std::uint64_t v) {
  wgmma_fence();
#pragma unroll
  for (int i = 0; i < T::keys / 16; ++i) wgmma(o, p + 4 * i, advanced(v, i * 2048));
  wgmma_commit();
}

/// One query block, overlapped: the logits of a tile and the values of the tile before it are in
/// flight together.
template <class T>
__device__ __forceinline__ void attend_overlapped(Consumer<T>& me, const Problem& p, int tiles,
                                                  Rows& rows, float (&o)[head_width / 2]) {
  float s[T::keys / 2];
  std::uint32_t weights[T::keys / 4];
  float factor[2];
  const std::uint64_t queries = k_major(me.q_part());
  me.wait_for_k();
  start_logits<T>(s, queries, me.k_tile());
  wgmma_wait<0>();
  pin(s);
  me.release_k();
  mask(s, p.keys - (tiles - 1) * T::keys, p.last_key);
  raise_max<T>(s, p.to_log2, rows, factor);
  weigh(s, p.to_log2, rows);
  to_operand(s, weights);
  if (tiles > 1) me.wait_for_k();
  for (int tile = tiles - 2; tile >= 0; --tile) {
    me.take_turn();
    pin(s);
    pin(o);
    start_logits<T>(s, queries, me.k_tile());
    me.wait_for_v();
    start_values<T>(o, weights, me.v_tile());
    me.end_turn();
    wgmma_wait<1>();
    pin(s);
    me.release_k();
    const bool rescale = raise_max<T>(s, p.to_log2, rows, factor);
    weigh(s, p.to_log2, rows);
    pin(s);
    if (tile > 0) me.wait_for_k_after(rows);
    wgmma_wait<0>();
    pin(s);
    pin(o);
    me.release_v();
    if (rescale) scale_rows(o, factor);
    to_operand(s, weights);
  }
  me.wait_for_v();
  pin(o);
  start_values<T>(o, weights, me.v_tile());
  wgmma_wait<0>();
  pin(o);
  me.release_v();
}

/// One query block, step by step: with three consumers, the others keep the tensor cores busy.
template <class T>
__device__ __forceinline__ void attend_in_steps(Consumer<T>& me, const Problem& p, int tiles,
                                                Rows& rows, float (&o)[head_width / 2]) {
  float s[T::keys / 2];
  std::uint32_t weights[T::keys / 4];
  float factor[2];
  const std::uint64_t queries = k_major(me.q_part());
  for (int tile = tiles - 1; tile >= 0; --tile) {
    me.wait_for_k();
    start_logits<T>(s, queries, me.k_tile());
    wgmma_wait<0>();
    pin(s);
    me.release_k();
    if (tile == tiles - 1) mask(s, p.keys - tile * T::keys, p.last_key);
    if (raise_max<T>(s, p.to_log2, rows, factor)) scale_rows(o, factor);
    weigh(s, p.to_log2, rows);
    to_operand(s, weights);
    me.wait_for_v();
    pin(o);
    start_values<T>(o, weights, me.v_tile());
    wgmma_wait<0>();
    pin(o);
    me.release_v();
  }
}

/// A consumer without rows in this round: the blocks that copy wait for it all the same.
template <class T>
__device__ __forceinline__ void pass_by(Consumer<T>& me, int tiles) {
  for (int tile = tiles - 1; tile >= 0; --tile) {
    me.wait_for_k();
    me.release_k();
    me.wait_for_v();
    me.release_v();
  }
  if (threadIdx.x % group_threads == 0) me.release_q();
}

/// The thread's part of the results, times `factor`, as one column of 128 e4m3 numbers.
__device__ __forceinline__ void stage_e4m3(std::byte* staged, const float (&o)[head_width / 2],
                                           const float (&factor)[2], int row, int thread) {
  const auto two = [](float x, float y) {
    return __nv_cvt_float2_to_fp8x2(make_float2(x, y), __NV_SATFINITE, __NV_E4M3);
  };
#pragma unroll
  for (int j = 0; j < head_width / 8; ++j) {
    const int chunk = (j / 2) ^ (row % 8);
    std::byte* to = staged + row * 128 + chunk * 16 + j % 2 * 8 + thread % 4 * 2;
    *reinterpret_cast<__nv_fp8x2_storage_t*>(to) =
        two(o[4 * j] * factor[0], o[4 * j + 1] * factor[0]);
    *reinterpret_cast<__nv_fp8x2_storage_t*>(to + 8 * 128) =
        two(o[4 * j + 2] * factor[1], o[4 * j + 3] * factor[1]);
  }
}

/// The results of other keys: weights of both sides by their lse (merge_attention.cu). Afterwards o
/// holds both sides' sum and counts once, and lse is that of all keys. Rows `query` and query + 8.
__device__ __forceinline__ void add_other_keys(const Problem& p, int query, int head, int thread,
                                               float (&o)[head_width / 2], float (&factor)[2],
                                               float (&lse)[2]) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int at = query + 8 * r;
    if (at >= p.queries) continue;
    const float other = p.lse[static_cast<std::int64_t>(head) * p.queries + at];
    const float top = fmaxf(lse[r], other);
    const float own_sum = expf(lse[r] - top), other_sum = expf(other - top);
    const float both = own_sum + other_sum;
    const float own_weight = own_sum / both * factor[r], other_weight = other_sum / both;
    const bf16* row = p.onto + (static_cast<std::int64_t>(at) * p.heads + head) * head_width;
#pragma unroll
    for (int j = 0; j < head_width / 8; ++j) {
      const auto pair = *reinterpret_cast<const __nv_bfloat162*>(row + 8 * j + thread % 4 * 2);
      const float2 there = __bfloat1622float2(pair);
      o[4 * j + 2 * r] = o[4 * j + 2 * r] * own_weight + there.x * other_weight;
      o[4 * j + 2 * r + 1] = o[4 * j + 2 * r + 1] * own_weight + there.y * other_weight;
    }
    factor[r] = 1;
    lse[r] = top + logf(both);
  }
}

/// Sums to results: through this group's part of q in shared memory, which it gives back.
template <class T, Result result>
__device__ __forceinline__ void write_out(Consumer<T>& me, const CUtensorMap& out, const Problem& p,
                                          const Rows& rows, float (&o)[head_width / 2],
                                          int first_row, int head) {
  const float sum[2] = {row_sum(rows.sum[0]), row_sum(rows.sum[1])};
  float factor[2] = {1 / sum[0], 1 / sum[1]};
  float scale = p.scale;  // of q.k: logits
  float counted = 0;      // as logits, how much weights are larger than they count
  if constexpr (T::e4m3) {
    factor[0] *= *p.descale_v;
    factor[1] *= *p.descale_v;
    scale *= *p.descale_q * *p.descale_k;
    counted = T::weights_log2 * 0.6931471805599453F;
  }
  float lse[2] = {rows.max[0] * scale + logf(sum[0]) - counted,
                  rows.max[1] * scale + logf(sum[1]) - counted};
  const int thread = thread_read_again() % group_threads;
  const int row = thread / 32 * 16 + thread % 32 / 4;  // and row + 8
  if constexpr (result == Result::added) {
    add_other_keys(p, first_row + row, head, thread, o, factor, lse);
  }
  me.meet_group();  // all of its warps have done with q
  auto* staged = reinterpret_cast<std::byte*>(me.q_part());
  if constexpr (result == Result::e4m3) {
    const float scale = row_factor(*p.largest_out);
    stage_e4m3(staged, o, {scale * factor[0], scale * factor[1]}, row, thread);
  } else {
#pragma unroll
    for (int j = 0; j < head_width / 8; ++j) {
      const int chunk = (j % 8) ^ (row % 8);
      std::byte* to = staged + (j / 8 * group_rows + row) * 128 + chunk * 16 + thread % 4 * 4;
      *reinterpret_cast<std::uint32_t*>(to) = pack(o[4 * j] * factor[0], o[4 * j + 1] * factor[0]);
      *reinterpret_cast<std::uint32_t*>(to + 8 * 128) =
          pack(o[4 * j + 2] * factor[1], o[4 * j + 3] * factor[1]);
    }
  }
  fence_writes();
  me.meet_group();
  if (thread == 0) {
    if (first_row < p.queries) {
      store_box(out, me.q_part()[0], 0, first_row, head);
      if constexpr (result != Result::e4m3) {
        store_box(out, me.q_part()[1], half_width, first_row, head);
      }
      wait_for_stores();
    }
    me.release_q();
  }
  if (p.lse == nullptr || thread % 4 != 0) return;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int query = first_row + row + 8 * r;
    if (query < p.queries) {
      p.lse[static_cast<std::int64_t>(head) * p.queries + query] = lse[r];
    }
  }
}

template <class T, Result result>
__device__ __forceinline__ void consume(Shared<T>& shared, const Maps& maps, const Problem& p,
                                        int group) {
  Consumer<T> me(shared, group);
  const int tiles = (p.keys + T::keys - 1) / T::keys;
  me.first_turn();
  for (Work<T> work(p.shares); work.left(); work.next(), me.q.next()) {
    Rows rows{{minus_infinity, minus_infinity}, {0, 0}};
    float o[head_width / 2] = {};
    me.wait_for_q();
    if (!work.busy(group)) {
      pass_by<T>(me, tiles);
      continue;
    }
    if constexpr (T::e4m3) {
      // Not 0, as with queries and keys of zeros: -inf times it, before the first tile, is -inf.
      const float to_log2 = fmaxf(p.to_log2 * *p.descale_q * *p.descale_k, 1e-37F);
      attend_in_steps_e4m3<T>(me, p, to_log2, tiles, rows, o);
    } else if constexpr (T::overlapped) {
      attend_overlapped<T>(me, p, tiles, rows, o);
    } else {
      attend_in_steps<T>(me, p, tiles, rows, o);
    }
    write_out<T, result>(me, maps.out, p, rows, o, work.first_row(group), work.head());
    __syncwarp();  // one thread waited for its stores; products need whole warps
  }
  me.last_turn();
}

// ---- the kernel --------------------------------------------------------------------------------

template <class T>
__device__ __forceinline__ void init_barriers(Shared<T>& shared) {
  constexpr int releases = T::cluster * T::consumers * (group_threads / 32);  // one a warp
  for (int i = 0; i < T::query_stages; ++i) {
    hopper::init_barrier(shared.q_full[i], 1);
    hopper::init_barrier(shared.q_empty[i], T::consumers);
  }
  for (int i = 0; i < T::stages; ++i) {
    hopper::init_barrier(shared.k_full[i], 1);
    hopper::init_barrier(shared.v_full[i], 1);
    hopper::init_barrier(shared.k_empty[i], releases);
    hopper::init_barrier(shared.v_empty[i], releases);
  }
  hopper::fence_barrier_init();
}

/// Behind the columns of every tile of V, where no copy writes: one of ones, the others zeros. The
/// swizzle moves nothing, as all of a row is alike.
template <class T>
__device__ __forceinline__ void write_ones(Shared<T>& shared) {
  constexpr int words = 128 / 4;
  for (int i = static_cast<int>(threadIdx.x); i < T::stages * 8 * words; i += T::threads) {
    Row& row = shared.v[i / (8 * words)][0][head_width + i / words % 8];
    reinterpret_cast<std::uint32_t*>(row.bytes)[i % words] = i / words % 8 == 0 ? 0x38383838U : 0U;
  }
  fence_writes();
}

/// All of a cluster: nobody may reach for a block before it is ready, nor after it is gone.
template <class T>
__device__ __forceinline__ void sync_blocks() {
  if constexpr (T::cluster == 1) {
    __syncthreads();
  } else {
    cluster_sync();
  }
}

template <class T, Result result>
__global__ void __launch_bounds__(T::threads, 1)
    attention_kernel(const __grid_constant__ Maps maps, const __grid_constant__ Problem p) {
  extern __shared__ std::byte dynamic_shared[];
  const std::uint32_t to_pattern = (0U - shared_address(dynamic_shared)) % 1024;
  auto& shared = *reinterpret_cast<Shared<T>*>(dynamic_shared + to_pattern);
  if (threadIdx.x == 0) init_barriers<T>(shared);
  if constexpr (T::e4m3) write_ones(shared);
  sync_blocks<T>();
  // Taken from the warp's first thread: so the compiler knows that no warp parts at what depends on
  // it, and puts nothing into the inner loop to bring it together.
  const int group = __shfl_sync(0xFFFFFFFFU, static_cast<int>(threadIdx.x) / group_threads, 0);
  if (group == 0) {
    hopper::give_registers<T::producer_registers>();
    if (threadIdx.x == 0) produce<T>(shared, maps, p);
    __syncwarp();
  } else {
    hopper::take_registers<T::consumer_registers>();
    consume<T, result>(shared, maps, p, group - 1);
  }
  sync_blocks<T>();
}

template <class T>
Maps maps_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out) {
  const CUtensorMap out_map =
      out.dtype() == DType::f8e4m3 ? e4m3_head_map(out, group_rows) : head_map(out, group_rows);
  if constexpr (T::e4m3) {
    return {e4m3_head_map(q, group_rows), e4m3_head_map(k, T::keys), e4m3_transposed_map(v),
            out_map};
  } else {
    return {head_map(q, group_rows), head_map(k, T::keys), head_map(v, T::keys), out_map};
  }
}

/// What the scales of e4m3 tensors are, on the device; nullptr where there are none.
struct Scales {
  const float *q, *k, *v, *largest_out;
};

template <class T, Result result>
void launch_tiled(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                  const Scales& scales, const Tensor& out) {
  constexpr auto kernel = attention_kernel<T, result>;
  static const int processors = [] {
    int device = 0;
    int count = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes<T>)),
          "cudaFuncSetAttribute");
    return count;
  }();
  const Problem p{static_cast<int>(q.dim(0)),
                  static_cast<int>(k.dim(0)),
                  static_cast<int>(q.dim(1)),
                  args.scale,
                  args.scale * 1.4426950408889634F,
                  args.last_key_logit / args.scale,
                  args.lse.defined() ? elements<float>(args.lse) : nullptr,
                  result == Result::added ? elements<bf16>(out) : nullptr,
                  scales.largest_out,
                  scales.q,
                  scales.k,
                  scales.v,
                  share_out<T>(q.dim(0), q.dim(1), processors)};
  const Maps maps = maps_of<T>(q, k, v, out);
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = T::cluster;
  cluster.val.clusterDim.y = 1;
  cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t launch{};
  launch.gridDim = dim3(static_cast<unsigned>(p.shares.clusters * T::cluster));
  launch.blockDim = dim3(T::threads);
  launch.dynamicSmemBytes = shared_bytes<T>;
  launch.stream = cuda_stream();
  launch.attrs = &cluster;
  launch.numAttrs = 1;
  check(cudaLaunchKernelEx(&launch, kernel, maps, p), "attention_hopper");
  check_launch("attention_hopper");
}

/// attention_hopper() in one tiling.
template <class T>
void attention_tiled(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                     const Tensor& out) {
  launch_tiled<T, Result::plain>(q, k, v, args, {}, out);
}
/// add_attention_hopper() in one tiling.
template <class T>
void add_attention_tiled(const Tensor& q, const Tensor& k, const Tensor& v,
                         const AttentionArgs& args, const Tensor& out) {
  launch_tiled<T, Result::added>(q, k, v, args, {}, out);
}
/// attention_hopper_e4m3() in one tiling.
template <class T>
void attention_tiled_e4m3(const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttentionArgs& args, const float* largest_out, const Tensor& out) {
  launch_tiled<T, Result::e4m3>(q, k, v, args, {nullptr, nullptr, nullptr, largest_out}, out);
}
/// attention_of_e4m3() and add_attention_of_e4m3().
template <Result result>
void launch_e4m3(const E4m3Operands& x, const AttentionArgs& args, const Tensor& out) {
  launch_tiled<TilingE4m3, result>(
      x.q, x.k, x.v, args,
      {&x.q_scale->descale, &x.k_scale->descale, &x.v_scale->descale, &x.v_scale->most}, out);
}

}  // namespace weft::cuda::hopper_attention
