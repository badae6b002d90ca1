#pragma once
// A consumer warpgroup of the Hopper attention kernel: its place in the rings and its turns.

#include <cstdint>

#include "attention_hopper_blocks.cuh"
#include "attention_hopper_softmax.cuh"
#include "attention_hopper_tiling.cuh"

namespace weft::cuda::hopper_attention {

/// A consumer warpgroup: its number, its thread's place, and where it is in the rings.
template <class T>
struct Consumer {
  Shared<T>& shared;
  int group, lane;
  Place<T::query_stages> q{};
  Place<T::stages> k{}, v{};

  __device__ __forceinline__ Consumer(Shared<T>& s, int number)
      : shared(s), group(number), lane(static_cast<int>(threadIdx.x) % 32) {}

  __device__ __forceinline__ void wait_for_q() { wait(shared.q_full[q.stage], q.parity); }
  __device__ __forceinline__ Row (&q_part() const)[2][group_rows] {
    return shared.q[q.stage][group];
  }
  /// By one thread of the group, whose results have left.
  __device__ __forceinline__ void release_q() { arrive(shared.q_empty[q.stage]); }

  __device__ __forceinline__ void wait_for_k() { wait(shared.k_full[k.stage], k.parity); }
  __device__ __forceinline__ void wait_for_v() { wait(shared.v_full[v.stage], v.parity); }
  /// As wait_for_k(), when the softmax that gave these sums is done with: the compiler would move
  /// it behind the products that it is meant to run beside, if the parity that is waited for did
  /// not depend on the sums (which are never negative).
  __device__ __forceinline__ void wait_for_k_after(const Rows& rows) {
    const std::uint32_t negative = rows.sum[0] + rows.sum[1] < 0 ? 1 : 0;
    wait(shared.k_full[k.stage], k.parity ^ negative);
  }
  __device__ __forceinline__ std::uint64_t k_tile() const { return k_major(shared.k[k.stage]); }
  __device__ __forceinline__ std::uint64_t v_tile() const {
    return T::e4m3 ? k_major(shared.v[v.stage]) : n_major(shared.v[v.stage], T::keys * 128);
  }
  __device__ __forceinline__ void release_k() {
    release(shared.k_empty[k.stage]);
    k.next();
  }
  __device__ __forceinline__ void release_v() {
    release(shared.v_empty[v.stage]);
    v.next();
  }
  /// Each warp tells every block that copies into this one.
  __device__ __forceinline__ void release(Barrier& empty) {
    if constexpr (T::cluster == 1) {
      if (lane == 0) arrive(empty);
    } else {
      if (lane < T::cluster) arrive_at(empty, lane);
    }
  }

  // Turns: barrier 1 + g is met by group g and passed by the group before it.
  static constexpr int turn_threads = 2 * group_threads;
  __device__ __forceinline__ void first_turn() const {
    if (T::in_turns && group == 0) pass(1, turn_threads);
  }
  __device__ __forceinline__ void take_turn() const {
    if constexpr (T::in_turns) meet(1 + group, turn_threads);
  }
  __device__ __forceinline__ void end_turn() const {
    if constexpr (T::in_turns) pass(1 + (group + 1) % T::consumers, turn_threads);
  }
  /// Takes the turn that nobody needs any more, so that no barrier is left half met.
  __device__ __forceinline__ void last_turn() const {
    if (T::in_turns && group == 0) meet(1, turn_threads);
  }
  __device__ __forceinline__ void meet_group() const {
    meet(1 + T::consumers + group, group_threads);
  }
};

}  // namespace weft::cuda::hopper_attention
