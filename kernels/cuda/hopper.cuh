#pragma once
// Building blocks of kernels for sm_90a: barriers that count bytes, copies by the tensor memory
// accelerator (TMA), and the asynchronous matrix product of a warpgroup (wgmma).

#include <cstdint>
#include <span>

#include <cuda.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "weft/base/error.h"

#include "check.h"

namespace weft::cuda::hopper {

/// Shared memory is named by its 32-bit address, as these instructions want it.
__device__ inline std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

// ---- barriers ----------------------------------------------------------------------------------
// An mbarrier passes to its next phase when all its arrivals are there and all bytes it was told to
// expect have landed. wait(parity) returns at once unless the current phase has that parity.

/// Stands for its address.
struct Barrier {
  std::uint64_t state;
  __device__ operator std::uint32_t() const { return shared_address(this); }
};

__device__ inline void init_barrier(std::uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
/// After the last init, before the barriers are used (a __syncthreads or cluster_sync follows).
__device__ inline void fence_barrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ inline void arrive(std::uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ inline void arrive_expecting(std::uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
__device__ inline void wait(std::uint32_t barrier, std::uint32_t parity) {
  std::uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{\n.reg .pred done;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n"
        "selp.u32 %0, 1, 0, done;\n}\n"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
  }
}

/// Position in a ring of slots: a consumer waits for parity `phase`, a producer for `phase ^ 1`
/// (which a new barrier grants).
struct Ring {
  int slots;
  int slot = 0;
  std::uint32_t phase = 0;

  __device__ void next() {
    if (++slot == slots) {
      slot = 0;
      phase ^= 1;
    }
  }
};

// ---- copies ------------------------------------------------------------------------------------

enum class Swizzle : std::uint8_t { bytes64, bytes128 };

/// A map of a tensor for copies of boxes, innermost dimension first; `strides` are those of
/// dimensions 1 and up, in bytes. What a box has outside of the tensor reads as zero and is not
/// written. The box's rows are exactly as wide as the swizzle.
inline CUtensorMap tensor_map(CUtensorMapDataType type, const void* data,
                              std::span<const std::uint64_t> dims,
                              std::span<const std::uint64_t> strides,
                              std::span<const std::uint32_t> box, Swizzle swizzle) {
  // The driver's function, found through the runtime: linking the driver's library itself would
  // keep the program from starting where there is no driver.
  using Encode = decltype(&cuTensorMapEncodeTiled);
  static const auto encode = [] {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult found{};
    check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000,
                                           cudaEnableDefault, &found),
          "cudaGetDriverEntryPointByVersion");
    if (found != cudaDriverEntryPointSuccess) fail("this CUDA driver knows no tensor maps");
    return reinterpret_cast<Encode>(entry);
  }();
  constexpr std::uint32_t every[5] = {1, 1, 1, 1, 1};
  CUtensorMap map{};
  const CUresult status =
      encode(&map, type, static_cast<std::uint32_t>(dims.size()), const_cast<void*>(data),
             dims.data(), strides.data(), box.data(), every, CU_TENSOR_MAP_INTERLEAVE_NONE,
             swizzle == Swizzle::bytes128 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) {
    fail("cuTensorMapEncodeTiled of {} at {}: error {}", fmt::join(dims, " x "), fmt::ptr(data),
         static_cast<int>(status));
  }
  return map;
}

/// Starts the copy of the box at the coordinates (innermost first) to `to`; its bytes count towards
/// `barrier`. One thread asks.
__device__ inline void load_box(const CUtensorMap& map, std::uint32_t to, std::uint32_t barrier,
                                int c0, int c1, int c2, int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(to),
      "l"(&map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}
__device__ inline void load_box(const CUtensorMap& map, std::uint32_t to, std::uint32_t barrier,
                                int c0, int c1, int c2, int c3, int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5, %6, %7}], [%2];" ::"r"(to),
      "l"(&map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4)
      : "memory");
}

// ---- matrix products ---------------------------------------------------------------------------

/// Registers move between the warpgroups of a block: producers of data need few.
template <int kRegisters>
__device__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

/// Before the first product, and after registers that it accumulates to were touched.
__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// Ends a group of products.
__device__ inline void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Until at most `kGroups` groups are unfinished.
template <int kGroups>
__device__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroups) : "memory");
}

/// The compiler, which does not know that products write these registers late, neither moves a use
/// of them across this point nor copies them around it: after the wait for the last product.
template <int kCount>
__device__ void pin(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

/// The matrix in shared memory at `address`: rows of 64 or 128 bytes (K consecutive values),
/// swizzled as TMA stores them, eight rows after another; `stride` bytes from one eight to the
/// next. The swizzle is a function of the address, so a matrix may begin at any row of what a copy
/// stored to a multiple of 1024. The next 16 columns are 32 bytes on: add 2 to the descriptor.
__device__ inline std::uint64_t matrix(std::uint32_t address, std::uint32_t stride,
                                       Swizzle swizzle) {
  const std::uint32_t high = (stride >> 4) | (swizzle == Swizzle::bytes128 ? 1U : 2U) << 30;
  return static_cast<std::uint64_t>(high) << 32 | 1U << 16 | address >> 4;
}

// Accumulators as operands of inline assembly: their names, and the registers behind them.
#define WEFT_NAMES_48                                                                \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, " \
  "%18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, " \
  "%34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define WEFT_NAMES_64 \
  WEFT_NAMES_48       \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define WEFT_REGISTERS_8(acc, i)                                                    \
  "+f"((acc)[i]), "+f"((acc)[(i) + 1]), "+f"((acc)[(i) + 2]), "+f"((acc)[(i) + 3]), \
      "+f"((acc)[(i) + 4]), "+f"((acc)[(i) + 5]), "+f"((acc)[(i) + 6]), "+f"((acc)[(i) + 7])
#define WEFT_REGISTERS_48(acc)                                                   \
  WEFT_REGISTERS_8(acc, 0), WEFT_REGISTERS_8(acc, 8), WEFT_REGISTERS_8(acc, 16), \
      WEFT_REGISTERS_8(acc, 24), WEFT_REGISTERS_8(acc, 32), WEFT_REGISTERS_8(acc, 40)
#define WEFT_REGISTERS_64(acc) \
  WEFT_REGISTERS_48(acc), WEFT_REGISTERS_8(acc, 48), WEFT_REGISTERS_8(acc, 56)

/// d = a b^T, or added to d: a [64, 16], b [N, 16] bf16 in shared memory; d is this thread's part
/// of [64, N]: with warp w and lane l of the warpgroup, d[4 j + 2 i + e] is row 16 w + l / 4 + 8 i,
/// column 8 j + 2 (l % 4) + e.
__device__ inline void wgmma(float (&d)[48], std::uint64_t a, std::uint64_t b, bool accumulate) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %50, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 {" WEFT_NAMES_48
      "}, %48, %49, add, 1, 1, 0, 0;\n}\n"
      : WEFT_REGISTERS_48(d)
      : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}
__device__ inline void wgmma(float (&d)[64], std::uint64_t a, std::uint64_t b, bool accumulate) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WEFT_NAMES_64
      "}, %64, %65, add, 1, 1, 0, 0;\n}\n"
      : WEFT_REGISTERS_64(d)
      : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}
__device__ inline void wgmma(float (&d)[96], std::uint64_t a, std::uint64_t b, bool accumulate) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %98, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 {" WEFT_NAMES_64
      ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
      "}, %96, %97, add, 1, 1, 0, 0;\n}\n"
      : WEFT_REGISTERS_64(d), WEFT_REGISTERS_8(d, 64), WEFT_REGISTERS_8(d, 72),
        WEFT_REGISTERS_8(d, 80), WEFT_REGISTERS_8(d, 88)
      : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}

}  // namespace weft::cuda::hopper
