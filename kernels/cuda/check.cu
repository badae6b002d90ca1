#include <cstdlib>
#include <filesystem>

#include "weft/base/error.h"
#include "weft/base/log.h"

#include "check.h"
#include "stream.h"

namespace weft {
namespace {

[[noreturn]] void fail_call(std::string_view what, std::string_view text, std::string_view name,
                            const Here& here) {
  const std::string file = std::filesystem::path(here.file_name()).filename().string();
  fail("{}: {} ({}) at {}:{}", what, text, name, file, here.line());
}

bool synchronous() {
  static const bool on = [] {
    const char* value = std::getenv("WEFT_SYNC");
    return value != nullptr && std::string_view(value) == "1";
  }();
  return on;
}

}  // namespace

void check(cudaError_t status, std::string_view what, Here here) {
  if (status == cudaSuccess) return;
  // A launch that failed earlier surfaces here too; clearing it keeps the next message honest.
  static_cast<void>(cudaGetLastError());
  fail_call(what, cudaGetErrorString(status), cudaGetErrorName(status), here);
}

void check(cublasStatus_t status, std::string_view what, Here here) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail_call(what, cublasLtGetStatusString(status), cublasLtGetStatusName(status), here);
}

void check(cudnnStatus_t status, std::string_view what, Here here) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char detail[512] = "";
  cudnnGetLastErrorString(detail, sizeof detail);
  fail_call(what, detail, cudnnGetErrorString(status), here);
}

void check(ncclResult_t status, std::string_view what, Here here) {
  if (status == ncclSuccess) return;
  // The text of the last error is the thread's where no communicator is named.
  fail_call(what, ncclGetLastError(nullptr), ncclGetErrorString(status), here);
}

void check_launch(const char* kernel, Here here) {
  check(cudaGetLastError(), kernel, here);
  if (synchronous()) {
    check(cudaStreamSynchronize(cuda_stream()), std::string("inside kernel ") + kernel, here);
  }
}

void log_cuda_failure(cudaError_t status, const char* call) {
  if (status == cudaSuccess || status == cudaErrorCudartUnloading) return;
  log_error("{}: {}", call, cudaGetErrorString(status));
}

}  // namespace weft
