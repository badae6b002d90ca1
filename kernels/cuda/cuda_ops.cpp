#include "cuda_ops.h"

#include <fmt/format.h>

#include "weft/device/device_api.h"

#include "attention.h"
#include "conv.h"
#include "matmul.h"
#include "quantize.h"

namespace weft {
namespace cuda {
namespace {

const char* precision_name(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
    case Precision::fp8:
      return "fp8";
  }
  return "?";
}

}  // namespace

CudaOps::CudaOps(int device_index, Precision precision) : precision_(precision) {
  if (precision == Precision::fp8) require_fp8(device_index);
  use_cuda_device(device_index);  // before anything makes a handle or a stream of its own
  matmul_ = std::make_unique<Matmul>();
  attention_ = std::make_unique<Attention>(*matmul_, precision);
  conv_ = std::make_unique<Conv>(*matmul_);
}

CudaOps::~CudaOps() {
  // After a fault the device is lost to this process, and what the libraries do to clean up may end
  // it before the fault has been told: their handles are left to the end of the process.
  const cudaError_t status = cudaStreamQuery(cuda_stream());
  if (status == cudaSuccess || status == cudaErrorNotReady) return;
  static_cast<void>(matmul_.release());
  static_cast<void>(attention_.release());
  static_cast<void>(conv_.release());
}

std::string CudaOps::describe() const {
  int index = 0;
  check(cudaGetDevice(&index), "cudaGetDevice");
  cudaDeviceProp device{};
  check(cudaGetDeviceProperties(&device, index), "cudaGetDeviceProperties");
  const std::size_t cudnn = cudnnGetVersion();  // 91900 is 9.19.0
  return fmt::format("{}, {}, cuDNN {}.{}", device.name, precision_name(precision_), cudnn / 10000,
                     cudnn / 100 % 100);
}

void CudaOps::synchronize() { check(cudaStreamSynchronize(cuda_stream()), "waiting for the GPU"); }

}  // namespace cuda

std::unique_ptr<Ops> make_cuda_ops(int device_index, Precision precision) {
  if (!cuda_absent_reason().empty()) return nullptr;
  return std::make_unique<cuda::CudaOps>(device_index, precision);
}

}  // namespace weft
