// What runs beneath the kernels, for run records.
#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <fmt/format.h>
#include <nccl.h>

#include "weft/device/device_api.h"

#include "check.h"

namespace weft {
namespace {

/// 13000 -> "13.0": thousands, tens.
std::string cuda_number(int version) {
  return fmt::format("{}.{}", version / 1000, version / 10 % 100);
}

/// major 10000 + minor 100 + patch -> "2.26.2"
std::string library_number(std::size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace

std::vector<std::string> cuda_versions() {
  int driver = 0, runtime = 0, nccl = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  check(ncclGetVersion(&nccl), "ncclGetVersion");
  return {"CUDA driver " + cuda_number(driver), "CUDA runtime " + cuda_number(runtime),
          "cuDNN " + library_number(cudnnGetVersion()),
          "cuBLASLt " + library_number(cublasLtGetVersion()),
          "NCCL " + library_number(static_cast<std::size_t>(nccl))};
}

}  // namespace weft
