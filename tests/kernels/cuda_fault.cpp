// A fault inside a kernel: what the user is told. Prints the error's text and ends as a job would,
// with the backend's handles still to be cleaned up. CTest runs it with and without WEFT_SYNC=1.
#include <array>
#include <cstdio>

#include "weft/device/device_api.h"
#include "weft/ops/ops.h"

int main() {
  using namespace weft;
  if (!cuda_absent_reason().empty()) {
    std::printf("skipped: %s\n", cuda_absent_reason().c_str());
    return 77;
  }
  try {
    const auto ops = make_cuda_ops(0, Precision::f32);
    const Tensor good = Tensor::zeros({1024}, DType::f32, DeviceKind::cuda);
    // An address that belongs to nobody.
    const Tensor bad = Tensor::view(reinterpret_cast<void*>(std::uintptr_t{4096}), {1024},
                                    DType::f32, DeviceKind::cuda, std::make_shared<int>(0));
    ops->add(good, good);
    ops->combine(std::array{Term{1, bad}}, good);
    ops->add(good, good);
    ops->synchronize();
  } catch (const Error& e) {
    std::printf("error: %s\n", e.what());
    return 0;
  }
  std::printf("no error\n");
  return 1;
}
