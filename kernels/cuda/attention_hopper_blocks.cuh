#pragma once
// What the Hopper attention kernel is made of: barriers in shared memory, tensor copies (TMA) into
// and out of it, and warpgroup matrix products (wgmma) with their operand descriptors.
//
// Tiles in shared memory are columns of 64 bfloat16 (128 bytes a row) in the 128-byte swizzle: the
// 16-byte chunk c of row r lies at chunk c ^ (r mod 8). Eight rows are one pattern of 1024 bytes,
// and tiles start at multiples of that.

#include <cstdint>

#include <cuda.h>
#include <cuda_bf16.h>

namespace weft::cuda::hopper_attention {

__device__ __forceinline__ std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

// ---- barriers in shared memory -----------------------------------------------------------------
// A barrier's phase ends when the arrivals it was made for and the bytes it was told of are in.
// Waiting names the parity of the phase: the first one has parity 0; of a fresh barrier, the phase
// "before" (parity 1) counts as ended.

using Barrier = std::uint64_t;

__device__ __forceinline__ void init(Barrier& b, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&b)), "r"(arrivals)
               : "memory");
}
/// After the last init(): makes them visible to copies and to the other blocks of the cluster.
__device__ __forceinline__ void fence_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void arrive(Barrier& b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&b)) : "memory");
}
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
/// Arrives, and tells the barrier of bytes that copies will bring in this phase.
__device__ __forceinline__ void arrive_expecting(Barrier& b, std::uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&b)),
               "r"(bytes)
               : "memory");
}
__device__ __forceinline__ bool phase_ended(std::uint32_t barrier, std::uint32_t parity) {
  std::uint32_t ended;
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n"
      "}\n"
      : "=r"(ended)
      : "r"(barrier), "r"(parity)
      : "memory");
  return ended != 0;
}
__device__ __forceinline__ void wait(Barrier& b, std::uint32_t parity) {
  const std::uint32_t barrier = shared_address(&b);
  while (!phase_ended(barrier, parity)) {
  }
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

/// Gives back registers (down to N per thread) or takes them; by all warps of a warpgroup.
template <int N>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}
template <int N>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
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
// Products run asynchronously: begin() orders earlier register writes before them, commit() ends
// a group of them, wait_products<N>() waits until at most N groups are still running.
//
// Accumulators [64, N]: warp w of the group holds rows 16 w ..+16; of them, the thread of lane l
// holds in acc[4 j + i] row l / 4 + 8 (i / 2), column 8 j + 2 (l % 4) + i % 2. A left operand
// [64, 16] in registers is laid out alike, two columns to a register.

__device__ __forceinline__ void begin_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int N>
__device__ __forceinline__ void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}
/// The compiler neither moves a use of these registers across this point nor copies them around it.
template <int N>
__device__ __forceinline__ void pin(float (&registers)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(registers[i])::"memory");
}

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

// The first 64 accumulators as operands of inline assembly.
#define WEFT_NAMES_64                                                                \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, " \
  "%18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, " \
  "%34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, " \
  "%50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define WEFT_REGISTERS_8(acc, i)                                                    \
  "+f"((acc)[i]), "+f"((acc)[(i) + 1]), "+f"((acc)[(i) + 2]), "+f"((acc)[(i) + 3]), \
      "+f"((acc)[(i) + 4]), "+f"((acc)[(i) + 5]), "+f"((acc)[(i) + 6]), "+f"((acc)[(i) + 7])
#define WEFT_REGISTERS_64(acc)                                                         \
  WEFT_REGISTERS_8(acc, 0), WEFT_REGISTERS_8(acc, 8), WEFT_REGISTERS_8(acc, 16),       \
      WEFT_REGISTERS_8(acc, 24), WEFT_REGISTERS_8(acc, 32), WEFT_REGISTERS_8(acc, 40), \
      WEFT_REGISTERS_8(acc, 48), WEFT_REGISTERS_8(acc, 56)

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
