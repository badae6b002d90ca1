#include "cpu_ops.h"

#include "simd.h"

namespace weft {

namespace cpu {

std::string CpuOps::describe() const {
  return fmt::format("cpu, {} threads, {}", threads_, simd_name);
}

}  // namespace cpu

std::unique_ptr<Ops> make_cpu_ops(int threads) {
  WEFT_ASSERT(threads > 0, "{} threads", threads);
  return std::make_unique<cpu::CpuOps>(threads);
}

}  // namespace weft
