// Faults of the GPU are told with what happened and where.
#include <cstdio>
#include <cstdlib>

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

/// Adds to memory that is nobody's; never returns.
[[noreturn]] void add_to_nothing() {
  ::setenv("WEFT_SYNC", "1", 1);
  try {
    const std::unique_ptr<Ops> ops = make_cuda_ops(0, Precision::f32);
    const Shape shape{1000};
    static int nobody = 0;
    const Tensor bad =
        Tensor::view(reinterpret_cast<void*>(std::uintptr_t{1} << 46), shape, DType::f32,
                     DeviceKind::cuda, std::shared_ptr<void>(&nobody, [](void*) {}));
    ops->add(bad, Tensor::zeros(shape, DType::f32, DeviceKind::cuda));
    std::fputs("nothing was noticed\n", stderr);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
  }
  std::_Exit(3);  // the device is lost to this process: nothing can be freed any more
}

// In a process of its own: a fault ends all use of the device.
TEST(FaultDeathTest, the_launch_that_caused_a_fault_is_named) {
  if (!cuda_absent_reason().empty()) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(add_to_nothing(), testing::ExitedWithCode(3), "inside kernel add.*illegal");
}

}  // namespace
}  // namespace weft
