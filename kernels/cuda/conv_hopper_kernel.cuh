#pragma once
// A block computes 256 output positions (four sets of 8 rows x 8 columns) by N output channels at a
// time. Three warpgroups share the work: one copies, two multiply, each two of the four sets.
//
// For each (tap in time, slice of channels, column of the kernel) a patch of x lies in shared
// memory: the positions of the tile, shifted by the column, and the kernel's margin above and
// below, one after another, 64 channels (128 bytes) each. A set's operand for row i of the kernel
// is the patch seen from i rows further on: eight positions of a row are eight rows of the operand,
// and a row of the patch is the stride between eights. One patch thus serves the kernel's rows.
// (One patch for the columns too is read less from L2, but its operands begin within the swizzle's
// pattern: measured up to 10 % slower.) Slices of 96 channels (where C is no multiple of 64) are a
// part of 64 and a part of 32 channels, in a patch each.
//
// The weights of each (tap, slice) follow through a ring of their own.
#include <cstdint>

#include "hopper.cuh"
#include "vectors.cuh"

namespace weft::cuda::hopper_conv {

using hopper::Ring;
using hopper::Swizzle;

inline constexpr int group_threads = 128;
inline constexpr int block_threads = 3 * group_threads;
inline constexpr int multiplying_warps = 8;
inline constexpr int set_side = 8;           // a set is 8 x 8 positions: the 64 rows of one wgmma
inline constexpr int sets_per_group = 2;     // per multiplying warpgroup
inline constexpr int most_slots = 16;        // of either ring
inline constexpr int part_alignment = 1024;  // where the pattern of the 128-byte swizzle begins
// 227 KB may be used; the barriers are apart, and the slots begin at a multiple of part_alignment.
inline constexpr int slot_bytes_available = 227 * 1024 - 2 * part_alignment;

/// Where a set lies in its tile, in sets.
struct Place {
  int t, h, w;
};

/// Everything but addresses.
struct Plan {
  int frames, rows, cols, outputs;  // y
  int channels, slices;             // x
  int kt, kh, kw, pad_top, pad_left;
  Place tile;     // size of a tile, in sets
  Place sets[4];  // of a tile
  int patch_h, patch_w;
  int tiles_n, tiles_t, tiles_h, tiles_w;
  int patch_slots, weight_slots;
  int lead;  // steps between the multiplying warpgroups

  __host__ __device__ int patch_positions() const { return tile.t * patch_h * patch_w; }
  __host__ __device__ int patches() const { return kt * slices * kw; }  // of a tile
  __host__ __device__ int tiles() const { return tiles_n * tiles_t * tiles_h * tiles_w; }
};

/// Of x [T, H, W, C] and the weights, in parts of 64 channels and of 32.
struct Maps {
  CUtensorMap x[2], weights[2];
};

__host__ __device__ constexpr int aligned(int bytes) {
  return (bytes + part_alignment - 1) / part_alignment * part_alignment;
}

/// A slice's parts in a slot of `rows` positions or output channels.
template <int kChannels>
struct Slice {
  static_assert(kChannels == 64 || kChannels == 96);
  static constexpr bool narrow = kChannels == 96;
  __host__ __device__ static int narrow_part(int rows) { return aligned(rows * 128); }
  __host__ __device__ static int slot_bytes(int rows) {
    return narrow_part(rows) + (narrow ? aligned(rows * 64) : 0);
  }
  __host__ __device__ static int copied_bytes(int rows) { return rows * kChannels * 2; }
};

struct Barriers {
  std::uint64_t patch_full[most_slots], patch_empty[most_slots];
  std::uint64_t weights_full[most_slots], weights_empty[most_slots];
  std::uint64_t pace;
};

/// Shared memory by address.
struct Shared {
  std::uint32_t patches, patch_bytes, weights, weight_bytes;
  std::uint32_t barriers;

  __device__ std::uint32_t patch(int slot) const { return patches + slot * patch_bytes; }
  __device__ std::uint32_t weight(int slot) const { return weights + slot * weight_bytes; }
  __device__ std::uint32_t patch_full(int slot) const { return barriers + slot * 8; }
  __device__ std::uint32_t patch_empty(int slot) const {
    return barriers + (most_slots + slot) * 8;
  }
  __device__ std::uint32_t weights_full(int slot) const {
    return barriers + (2 * most_slots + slot) * 8;
  }
  __device__ std::uint32_t weights_empty(int slot) const {
    return barriers + (3 * most_slots + slot) * 8;
  }
  __device__ std::uint32_t pace() const { return barriers + 4 * most_slots * 8; }
};

/// First position and output channel.
struct Tile {
  int t, h, w, n;
};

/// Output channels change fastest, then frames: tiles of the same time read the same part of x.
template <int kN>
__device__ Tile tile_at(const Plan& p, int i) {
  Tile tile;
  tile.n = i % p.tiles_n * kN;
  i /= p.tiles_n;
  tile.t = i % p.tiles_t * p.tile.t;
  i /= p.tiles_t;
  tile.w = i % p.tiles_w * p.tile.w * set_side;
  tile.h = i / p.tiles_w * p.tile.h * set_side;
  return tile;
}

// ---- the copying warpgroup ---------------------------------------------------------------------

template <int kChannels, int kN>
__device__ void copy_patches(const Maps& maps, const Plan& p, const Shared& s) {
  const int positions = p.patch_positions();
  Ring ring{p.patch_slots};
  const auto copy = [&](int t, int h, int w, int channel) {
    const std::uint32_t to = s.patch(ring.slot);
    const std::uint32_t full = s.patch_full(ring.slot);
    hopper::wait(s.patch_empty(ring.slot), ring.phase ^ 1);
    hopper::arrive_expecting(full, Slice<kChannels>::copied_bytes(positions));
    hopper::load_box(maps.x[0], to, full, channel, w, h, t);
    if constexpr (Slice<kChannels>::narrow) {
      const int part = Slice<kChannels>::narrow_part(positions);
      hopper::load_box(maps.x[1], to + part, full, channel + 64, w, h, t);
    }
    ring.next();
  };
  for (int i = blockIdx.x; i < p.tiles(); i += gridDim.x) {
    const Tile tile = tile_at<kN>(p, i);
    for (int t = 0; t < p.kt; ++t) {
      for (int slice = 0; slice < p.slices; ++slice) {
        for (int column = 0; column < p.kw; ++column) {
          copy(tile.t + t, tile.h - p.pad_top, tile.w - p.pad_left + column, slice * kChannels);
        }
      }
    }
  }
}

template <int kChannels, int kN>
__device__ void copy_weights(const Maps& maps, const Plan& p, const Shared& s) {
  Ring ring{p.weight_slots};
  const auto copy = [&](int k, int outputs32) {
    const std::uint32_t to = s.weight(ring.slot);
    const std::uint32_t full = s.weights_full(ring.slot);
    hopper::wait(s.weights_empty(ring.slot), ring.phase ^ 1);
    hopper::arrive_expecting(full, Slice<kChannels>::copied_bytes(kN));
    hopper::load_box(maps.weights[0], to, full, k, 0, 0, 0, outputs32);
    if constexpr (Slice<kChannels>::narrow) {
      const int part = Slice<kChannels>::narrow_part(kN);
      hopper::load_box(maps.weights[1], to + part, full, k + 64, 0, 0, 0, outputs32);
    }
    ring.next();
  };
  // The taps that read one patch.
  const auto copy_taps = [&](int t, int channel, int column, int outputs32) {
    for (int row = 0; row < p.kh; ++row) {
      const int tap = (t * p.kh + row) * p.kw + column;
      copy(tap * p.channels + channel, outputs32);
    }
  };
  for (int i = blockIdx.x; i < p.tiles(); i += gridDim.x) {
    const int outputs32 = tile_at<kN>(p, i).n / 32;
    for (int t = 0; t < p.kt; ++t) {
      for (int slice = 0; slice < p.slices; ++slice) {
        for (int column = 0; column < p.kw; ++column) {
          copy_taps(t, slice * kChannels, column, outputs32);
        }
      }
    }
  }
}

// ---- the multiplying warpgroups ----------------------------------------------------------------

/// sum[i] += set i's positions by the weights, over kChannels channels.
template <int kChannels, int kN>
__device__ void multiply_step(const Plan& p, std::uint32_t patch, std::uint32_t weights,
                              const int (&position)[sets_per_group], bool accumulate,
                              float (&sum)[sets_per_group][kN / 2]) {
#pragma unroll
  for (int part = 0; part < (Slice<kChannels>::narrow ? 2 : 1); ++part) {
    const Swizzle swizzle = part == 0 ? Swizzle::bytes128 : Swizzle::bytes64;
    const int bytes = part == 0 ? 128 : 64;  // of a row
    const std::uint32_t a_part = part * Slice<kChannels>::narrow_part(p.patch_positions());
    const std::uint32_t b_part = part * Slice<kChannels>::narrow_part(kN);
    const std::uint64_t b = hopper::matrix(weights + b_part, set_side * bytes, swizzle);
    std::uint64_t a[sets_per_group];
#pragma unroll
    for (int i = 0; i < sets_per_group; ++i) {
      a[i] = hopper::matrix(patch + a_part + position[i] * bytes, p.patch_w * bytes, swizzle);
    }
#pragma unroll
    for (int k = 0; k < bytes / 32; ++k) {
#pragma unroll
      for (int i = 0; i < sets_per_group; ++i) {
        hopper::wgmma(sum[i], a[i] + 2 * k, b + 2 * k, accumulate || part > 0 || k > 0);
      }
    }
  }
}

/// This thread's first element of y in row `half` of its set's two, or -1 outside of y. Later
/// 32-channel groups follow 32 elements apart.
template <int kN>
__device__ std::int64_t element(const Plan& p, const Tile& tile, int set, int half) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32 % 4;
  const Place& place = p.sets[set];
  const int t = tile.t + place.t;
  const int h = tile.h + place.h * set_side + warp * 2 + half;
  const int w = tile.w + place.w * set_side + lane / 4;
  if (t >= p.frames || h >= p.rows || w >= p.cols) return -1;
  const std::int64_t position = (static_cast<std::int64_t>(t) * p.rows + h) * p.cols + w;
  return position * p.outputs + tile.n + lane % 4 * 8;
}

/// Brings the residual to the L2 cache while the tile is computed.
template <int kN>
__device__ void expect_residual(const Plan& p, const Tile& tile, int first_set,
                                const bf16* residual) {
  for (int row = 0; row < 2 * sets_per_group; ++row) {
    const std::int64_t at = element<kN>(p, tile, first_set + row / 2, row % 2);
    if (at < 0) continue;
    for (int g = 0; g < kN / 32 && tile.n + g * 32 < p.outputs; ++g) {
      asm volatile("prefetch.global.L2 [%0];" ::"l"(residual + at + g * 32));
    }
  }
}

/// y = sum + bias + residual. The order of the weights' rows (weights_map) makes the four pairs of
/// columns that a thread has of each 32 neighbours in y.
template <int kN>
__device__ void write(const Plan& p, const Tile& tile, int first_set, const bf16* bias,
                      const bf16* residual, bf16* y, const float (&sum)[sets_per_group][kN / 2]) {
  using Eight = Pack<bf16, 8>;
  const bf16* bias_at = bias + tile.n + threadIdx.x % 4 * 8;
#pragma unroll
  for (int i = 0; i < sets_per_group; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::int64_t at = element<kN>(p, tile, first_set + i, half);
      if (at < 0) continue;
      uint4 added[kN / 32] = {};  // all asked for before the first is used
      if (residual != nullptr) {
#pragma unroll
        for (int g = 0; g < kN / 32; ++g) {
          if (tile.n + g * 32 < p.outputs) {
            added[g] = __ldg(reinterpret_cast<const uint4*>(residual + at + g * 32));
          }
        }
      }
#pragma unroll
      for (int g = 0; g < kN / 32; ++g) {
        if (tile.n + g * 32 >= p.outputs) break;
        float v[8];
        load(bias_at + g * 32, v);
        const Eight r = reinterpret_cast<const Eight&>(added[g]);
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          v[j] += sum[i][(g * 4 + j / 2) * 4 + half * 2 + j % 2] + to_float(r.x[j]);
        }
        store(y + at + g * 32, v);
      }
    }
  }
}

/// One warpgroup's part of every tile. `group` is 0 or 1; group 1 stays `lead` steps behind, so
/// that one multiplies while the other writes.
template <int kChannels, int kN>
__device__ void multiply(const Plan& p, const Shared& s, int group, const bf16* bias,
                         const bf16* residual, bf16* y) {
  const bool leader = threadIdx.x % 32 == 0;  // arrives for its warp
  const int first_set = group * sets_per_group;
  int corner[sets_per_group];  // in a patch
#pragma unroll
  for (int i = 0; i < sets_per_group; ++i) {
    const Place& place = p.sets[first_set + i];
    corner[i] = (place.t * p.patch_h + place.h * set_side) * p.patch_w + place.w * set_side;
  }
  Ring patches{p.patch_slots};
  Ring weights{p.weight_slots};
  std::uint32_t pace_phase = 0;
  float sum[sets_per_group][kN / 2];
  for (int i = blockIdx.x; i < p.tiles(); i += gridDim.x) {
    const Tile tile = tile_at<kN>(p, i);
    if (residual != nullptr) expect_residual<kN>(p, tile, first_set, residual);
    if (group == 1) hopper::wait(s.pace(), pace_phase);
    pace_phase ^= 1;
    int step = 0;
    int last_weights = 0;  // slots of the step before
    int last_patch = 0;
    for (int patch = 0; patch < p.patches(); ++patch) {
      hopper::wait(s.patch_full(patches.slot), patches.phase);
      for (int row = 0; row < p.kh; ++row, ++step) {
        if (group == 0 && step == p.lead && threadIdx.x % group_threads == 0) {
          hopper::arrive(s.pace());
        }
        hopper::wait(s.weights_full(weights.slot), weights.phase);
        const int tap = row * p.patch_w;
        const int position[sets_per_group] = {corner[0] + tap, corner[1] + tap};
        hopper::wgmma_fence();
        multiply_step<kChannels, kN>(p, s.patch(patches.slot), s.weight(weights.slot), position,
                                     step > 0, sum);
        hopper::wgmma_commit();
        hopper::wgmma_wait<1>();  // the step before is done, and what it read is free
        if (leader && step > 0) {
          hopper::arrive(s.weights_empty(last_weights));
          if (row == 0) hopper::arrive(s.patch_empty(last_patch));
        }
        last_weights = weights.slot;
        last_patch = patches.slot;
        weights.next();
      }
      patches.next();
    }
    hopper::wgmma_wait<0>();
#pragma unroll
    for (int j = 0; j < sets_per_group; ++j) hopper::pin(sum[j]);
    if (leader) {
      hopper::arrive(s.weights_empty(last_weights));
      hopper::arrive(s.patch_empty(last_patch));
    }
    write<kN>(p, tile, first_set, bias, residual, y, sum);
  }
}

template <int kChannels, int kN>
__global__ void __launch_bounds__(block_threads, 1)
    conv_kernel(const __grid_constant__ Maps maps, const __grid_constant__ Plan plan,
                const bf16* bias, const bf16* residual, bf16* y) {
  extern __shared__ std::byte dynamic[];
  __shared__ Barriers barriers;
  Shared s;
  s.barriers = hopper::shared_address(&barriers);
  s.patches =
      (hopper::shared_address(dynamic) + part_alignment - 1) / part_alignment * part_alignment;
  s.patch_bytes = Slice<kChannels>::slot_bytes(plan.patch_positions());
  s.weights = s.patches + plan.patch_slots * s.patch_bytes;
  s.weight_bytes = Slice<kChannels>::slot_bytes(kN);
  if (threadIdx.x == 0) {
    for (int i = 0; i < most_slots; ++i) {
      hopper::init_barrier(s.patch_full(i), 1);
      hopper::init_barrier(s.weights_full(i), 1);
      hopper::init_barrier(s.patch_empty(i), multiplying_warps);
      hopper::init_barrier(s.weights_empty(i), multiplying_warps);
    }
    hopper::init_barrier(s.pace(), 1);
    hopper::fence_barrier_init();
  }
  __syncthreads();
  // The same in every lane, and the compiler is to know: wgmma needs whole warpgroups.
  const int group = __shfl_sync(0xFFFFFFFFU, static_cast<int>(threadIdx.x) / group_threads, 0);
  if (group == 0) {
    hopper::give_registers<24>();
    if (threadIdx.x == 0) copy_patches<kChannels, kN>(maps, plan, s);
    if (threadIdx.x == 32) copy_weights<kChannels, kN>(maps, plan, s);
  } else {
    hopper::take_registers<240>();
    multiply<kChannels, kN>(plan, s, group - 1, bias, residual, y);
  }
}

}  // namespace weft::cuda::hopper_conv
