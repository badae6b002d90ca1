#pragma once
// The operations of a rank of these benchmarks.

#include <algorithm>
#include <memory>
#include <string>

#include "weft/base/error.h"
#include "weft/comm/session.h"
#include "weft/device/device_api.h"
#include "weft/ops/ops.h"

namespace weft::bench {

/// `device`: cuda (the GPU of the rank's number on its host) or cpu; `precision`: f32, bf16 or fp8,
/// on CUDA. InputError where there is no GPU.
inline std::unique_ptr<Ops> rank_ops(const std::string& device, const std::string& precision,
                                     int threads, const Session& session) {
  if (device == "cpu") return make_cpu_ops(threads);
  const Precision wanted = precision == "f32"    ? Precision::f32
                           : precision == "bf16" ? Precision::bf16
                                                 : Precision::fp8;
  auto ops = make_cuda_ops(session.local_rank() % std::max(1, cuda_device_count()), wanted);
  if (ops == nullptr) fail_input("--device cuda: {}; --device cpu works", cuda_absent_reason());
  return ops;
}

}  // namespace weft::bench
