// This version computes on the CPU only. Device memory (device_api.cu) works; the operations are
// declared absent with a reason, so that a job that asks for CUDA is refused and none falls back.
#include "weft/ops/ops.h"

#include "cuda_ops.h"

namespace weft {

std::string cuda_ops_absent_reason() {
  return "this version has no CUDA operations yet: run with --device cpu";
}

std::unique_ptr<Ops> make_cuda_ops(int /*device_index*/) { return nullptr; }

}  // namespace weft
