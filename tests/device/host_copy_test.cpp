// What arrives is what was on the device when the copy was asked for, also when the tensor is gone
// or overwritten afterwards, and a HostCopy is used again.
#include "weft/device/host_copy.h"

#include <gtest/gtest.h>

#include "weft/base/error.h"
#include "weft/device/device_api.h"

namespace weft {
namespace {

Tensor filled(int value, std::int64_t count, DeviceKind device) {
  const Tensor t = Tensor::empty({count}, DType::u8);
  for (std::byte& byte : std::span(t.raw(), t.bytes())) byte = static_cast<std::byte>(value);
  return t.to(device);
}

void expect_copies(DeviceKind device) {
  HostCopy copy(device, 70'001);
  for (int round = 1; round < 6; ++round) {
    const std::int64_t count = 70'001 - round;
    {
      const Tensor x = filled(round, count, device);
      copy.start(x);
      if (device == DeviceKind::cuda) fill_zero(x);  // behind the copy, in the device's order
    }
    while (!copy.done()) {
    }
    const Tensor got = copy.take();
    ASSERT_EQ(got.device(), DeviceKind::cpu);
    ASSERT_EQ(got.numel(), count);
    for (const std::uint8_t byte : got.span<std::uint8_t>()) ASSERT_EQ(byte, round);
  }
}

TEST(HostCopy, OnTheCpuHandsTheTensorOn) { expect_copies(DeviceKind::cpu); }

TEST(HostCopy, OnCudaArrives) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  expect_copies(DeviceKind::cuda);
}

}  // namespace
}  // namespace weft
