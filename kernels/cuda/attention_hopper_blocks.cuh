#pragma once
// What the Hopper attention kernel is made of, beside hopper.cuh: barriers of a cluster and among
// threads, copies of 3-D boxes, and products with operands in registers or transposed.
//
// Tiles in shared memory are columns of 64 bfloat16 (128 bytes a row) in the 128-byte swizzle: the
// 16-byte chunk c of row r lies at chunk c ^ (r mod 8). Eight rows are one pattern of 1024 bytes,
// and tiles start at multiples of that.

#include <cstdint>

#include <cuda.h>
#include <cuda_bf16.h>

#include "hopper.cuh"

namespace weft::cuda::hopper_attention {

using hopper::arrive;
using hopper::arrive_expecting;
using hopper::Barrier;
using hopper::pin;
using hopper::shared_address;
using hopper::wait;
using hopper::wgmma_commit;
using hopper::wgmma_fence;
using hopper::wgmma_wait;

/// Arrives at the same barrier of block `rank` of the cluster.
__device__ __forceinline__ void arrive_at(Barrier& b, int rank) {
  asm volatile(
      "{\n"
      ".reg .b32 there;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [there];\n"
      "}\n" ::"r"(shared_address(&b)),
      "r"(rank)
      : "memory");
}

// ---- barriers among threads --------------------------------------------------------------------

/// Waits for `threads` threads, some of which may only have passed by (see pass()).
__device__ __forceinline__ void meet(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void pass(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void cluster_sync() {
  asm volatile(
      "barrier.cluster.arrive.release;\n"
      "barrier.cluster.wait.acquire;\n" ::
          : "memory");
}
__device__ __forceinline__ int cluster_rank() {
  std::uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}

/// threadIdx.x, in a way that what is computed from it is not kept in registers since before.
__device__ __forceinline__ int thread_read_again() {
  int thread;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return thread;
}

// ---- tensor copies -----------------------------------------------------------------------------
// A box of `map` at element x, y, z; what lies outside of the tensor is read as zeros and not
// written.

__device__ __forceinline__ void load_box(void* to, Barrier& done, const CUtensorMap& map, int x,
                                         int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(&done)), "r"(x), "r"(y), "r"(z)
      : "memory");
}
/// As load_box, to the same place in every block of the cluster whose bit is set in `blocks`; each
/// of their barriers is told.
__device__ __forceinline__ void load_box_for(std::uint16_t blocks, void* to, Barrier& done,
                                             const CUtensorMap& map, int x, int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(&done)), "r"(x), "r"(y), "r"(z), "h"(blocks)
      : "memory");
}
__device__ __forceinline__ void store_box(const CUtensorMap& map, const void* from, int x, int y,
                                          int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(&map),
      "r"(shared_address(from)), "r"(x), "r"(y), "r"(z)
      : "memory");
}
/// Waits until the boxes that this thread stores have left shared memory.
__device__ __forceinline__ void wait_for_stores() {
  asm volatile(
      "cp.async.bulk.commit_group;\n"
      "cp.async.bulk.wait_group.read 0;\n" ::
          : "memory");
}
/// Makes what this thread wrote to shared memory visible to copies and matrix products.
__device__ __forceinline__ void fence_writes() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// ---- matrix products of a warpgroup ------------------------------------------------------------
// Accumulators [64, N]: warp w of the group holds rows 16 w ..+16; of them, the thread of lane l
// holds in acc[4 j + i] row l / 4 + 8 (i / 2), column 8 j + 2 (l % 4) + i % 2. A left operand
// [64, 16] in registers is laid out alike, two columns to a register.

__device__ __forceinline__ std::uint64_t descriptor(std::uint32_t address, std::uint32_t leading,
                                                    std::uint32_t stride) {
  constexpr std::uint64_t swizzle_128_bytes = std::uint64_t{1} << 62;
  return swizzle_128_bytes | static_cast<std::uint64_t>(stride >> 4) << 32 |
         static_cast<std::uint64_t>(leading >> 4) << 16 | (address & 0x3FFFF) >> 4;
}
/// An operand whose summed index is contiguous: 64 of it a row. 16 more of them: + 32 bytes.
__device__ __forceinline__ std::uint64_t k_major(const void* tile) {
  return descriptor(shared_address(tile), 16, 1024);
}
/// A right operand [summed index][N] with N contiguous, 64 of N a row; the next 64 of N lie `step`
/// bytes further on. 16 more of the summed index: + 2048 bytes.
__device__ __forceinline__ std::uint64_t n_major(const void* tile, std::uint32_t step) {
  return descriptor(shared_address(tile), step, 1024);
}
/// The operand that begins `bytes` further on.
__device__ __forceinline__ std::uint64_t advanced(std::uint64_t operand, std::uint32_t bytes) {
  return operand + (bytes >> 4);
}

/// acc = (first ? 0 : acc) + a b^T; a [64, 16], b [128, 16], both K-major in shared memory.
template <bool First>
__device__ __forceinline__ void wgmma(float (&acc)[64], std::uint64_t a, std::uint64_t b) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WEFT_NAMES_64
      "}, "
      "%64, %65, add, 1, 1, 0, 0;\n"
      "}\n"
      : WEFT_REGISTERS_64(acc)
      : "l"(a), "l"(b), "n"(First ? 0 : 1));
}

/// acc = (first ? 0 : acc) + a b^T; a [64, 16], b [176, 16], both K-major in shared memory.
template <bool First>
__device__ __forceinline__ void wgmma(float (&acc)[88], std::uint64_t a, std::uint64_t b) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %90, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n176k16.f32.bf16.bf16 {" WEFT_NAMES_64
      ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87}, "
      "%88, %89, add, 1, 1, 0, 0;\n"
      "}\n"
      : WEFT_REGISTERS_64(acc), "+f"(acc[64]), "+f"(acc[65]), "+f"(acc[66]), "+f"(acc[67]),
        "+f"(acc[68]), "+f"(acc[69]), "+f"(acc[70]), "+f"(acc[71]), "+f"(acc[72]), "+f"(acc[73]),
        "+f"(acc[74]), "+f"(acc[75]), "+f"(acc[76]), "+f"(acc[77]), "+f"(acc[78]), "+f"(acc[79]),
        "+f"(acc[80]), "+f"(acc[81]), "+f"(acc[82]), "+f"(acc[83]), "+f"(acc[84]), "+f"(acc[85]),
        "+f"(acc[86]), "+f"(acc[87])
      : "l"(a), "l"(b), "n"(First ? 0 : 1));
}

/// acc += a b; a [64, 16] in registers, b [16, 128] in shared memory with N contiguous.
__device__ __forceinline__ void wgmma(float (&acc)[64], const std::uint32_t* a, std::uint64_t b) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, 1, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WEFT_NAMES_64
      "}, "
      "{%64, %65, %66, %67}, %68, add, 1, 1, 1;\n"
      "}\n"
      : WEFT_REGISTERS_64(acc)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

// In e4m3 a row of 128 bytes has 128 of the summed index; 32 more of them: + 32 bytes. A left
// operand [64, 32] in registers: the thread of lane l has, four to a register, columns
// 4 (l % 4) ..+4 of row l / 4, of row l / 4 + 8, and columns 16 + 4 (l % 4) ..+4 of both.

/// acc[0..64] = (first ? 0 : acc) + a b^T in e4m3; a [64, 32], b [128, 32], both in shared memory.
template <bool First, int N>
__device__ __forceinline__ void wgmma_e4m3(float (&acc)[N], std::uint64_t a, std::uint64_t b) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 {" WEFT_NAMES_64
      "}, %64, %65, add, 1, 1;\n"
      "}\n"
      : WEFT_REGISTERS_64(acc)
      : "l"(a), "l"(b), "n"(First ? 0 : 1));
}

/// acc = (first ? 0 : acc) + a b^T in e4m3; a [64, 32] in registers, b [136, 32] in shared memory.
template <bool First>
__device__ __forceinline__ void wgmma_e4m3(float (&acc)[68], const std::uint32_t* a,
                                           std::uint64_t b) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %73, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n136k32.f32.e4m3.e4m3 {" WEFT_NAMES_64
      ", %64, %65, %66, %67}, {%68, %69, %70, %71}, %72, add, 1, 1;\n"
      "}\n"
      : WEFT_REGISTERS_64(acc), "+f"(acc[64]), "+f"(acc[65]), "+f"(acc[66]), "+f"(acc[67])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(First ? 0 : 1));
}

}  // namespace weft::cuda::hopper_attention
