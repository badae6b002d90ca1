#pragma once
// What a consumer of the Hopper attention kernel does in e4m3: logits, weights and sums of values.
//
// e4m3 products run twice as fast as bf16's, so the softmax takes as long as they do, and consumers
// that do the same at the same time would wait for one another. They take turns instead: one starts
// its products when the one before it has. Sums of weights come with the values, as those of a
// column of ones behind V, which saves an addition for every weight.

#include <cstdint>

#include "attention_hopper_blocks.cuh"
#include "attention_hopper_consumer.cuh"
#include "attention_hopper_softmax.cuh"
#include "attention_hopper_tiling.cuh"

namespace weft::cuda::hopper_attention {

/// Sums over a tile's keys: of the head's columns, and of the weights themselves in [64] and [66]
/// of a row's first thread.
constexpr int value_sums = (head_width + 8) / 2;

/// s[0..64] = q k^T in e4m3: q [64][128], k [128][128].
template <int N>
__device__ __forceinline__ void start_logits_e4m3(float (&s)[N], std::uint64_t q, std::uint64_t k) {
  wgmma_fence();
  wgmma_e4m3<true>(s, q, k);
#pragma unroll
  for (int i = 1; i < head_width / 32; ++i) {
    wgmma_e4m3<false>(s, advanced(q, i * 32), advanced(k, i * 32));
  }
  wgmma_commit();
}
/// o = p v in e4m3: p [64][N keys], v [136][N keys].
template <int Registers>
__device__ __forceinline__ void start_values_e4m3(float (&o)[value_sums],
                                                  const std::uint32_t (&p)[Registers],
                                                  std::uint64_t v) {
  wgmma_fence();
  wgmma_e4m3<true>(o, p, v);
#pragma unroll
  for (int i = 1; i < Registers / 4; ++i) wgmma_e4m3<false>(o, p + 4 * i, advanced(v, i * 32));
  wgmma_commit();
}
/// o = o factor + tile, and rows.sum, which was scaled when the maximum rose.
__device__ __forceinline__ void add_tile(float (&o)[head_width / 2], Rows& rows,
                                         const float (&factor)[2],
                                         const float (&tile)[value_sums]) {
#pragma unroll
  for (int i = 0; i < head_width / 2; ++i) o[i] = fmaf(o[i], factor[i / 2 % 2], tile[i]);
  rows.sum[0] += tile[head_width / 2];
  rows.sum[1] += tile[head_width / 2 + 2];
}

/// o = o factor + weights times the next tile of V, by way of `tile`.
template <class T>
__device__ __forceinline__ void add_values_e4m3(Consumer<T>& me, float (&o)[head_width / 2],
                                                Rows& rows, const float (&factor)[2],
                                                const std::uint32_t (&weights)[T::keys / 8],
                                                float (&tile)[value_sums]) {
  pin(tile);
  start_values_e4m3(tile, weights, me.v_tile());
  wgmma_wait<0>();
  pin(tile);
  me.release_v();
  add_tile(o, rows, factor, tile);
}

/// attend_in_steps() in e4m3, the products in turns. The tile's values go where its logits were.
template <class T>
__device__ __forceinline__ void attend_in_steps_e4m3(Consumer<T>& me, const Problem& p,
                                                     float to_log2, int tiles, Rows& rows,
                                                     float (&o)[head_width / 2]) {
  float s[value_sums];
  std::uint32_t weights[T::keys / 8];
  float factor[2];
  const std::uint64_t queries = k_major(me.q_part());
  for (int tile = tiles - 1; tile >= 0; --tile) {
    if (tile < tiles - 1) me.wait_for_v();
    me.wait_for_k();
    me.take_turn();
    if (tile < tiles - 1) add_values_e4m3(me, o, rows, factor, weights, s);
    pin(s);
    start_logits_e4m3(s, queries, me.k_tile());
    me.end_turn();
    wgmma_wait<0>();
    pin(s);
    me.release_k();
    auto& logits = reinterpret_cast<float(&)[T::keys / 2]>(s);
    if (tile == tiles - 1) mask(logits, p.keys - tile * T::keys, 0);
    raise_max<T>(logits, to_log2, rows, factor);
    to_weights<T::weights_log2>(logits, to_log2, rows);
    to_operand_e4m3(logits, weights);
  }
  me.wait_for_v();
  add_values_e4m3(me, o, rows, factor, weights, s);
}

}  // namespace weft::cuda::hopper_attention
