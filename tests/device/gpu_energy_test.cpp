#include "weft/device/gpu_energy.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(GpuEnergy, IsTheDifferenceOfTheCounter) {
  const GpuEnergy energy("0000:01:00.0", WEFT_FAKE_NVML);
  const auto before = energy.joules();
  const auto after = energy.joules();
  ASSERT_TRUE(before && after);
  EXPECT_DOUBLE_EQ(*after - *before, 2.5);
}

TEST(GpuEnergy, IsAbsentWithoutCounterGpuOrLibrary) {
  EXPECT_FALSE(GpuEnergy("0000:02:00.0", WEFT_FAKE_NVML).joules());
  EXPECT_FALSE(GpuEnergy("0000:03:00.0", WEFT_FAKE_NVML).joules());
  EXPECT_FALSE(GpuEnergy("0000:01:00.0", "libno-such-library.so").joules());
  EXPECT_FALSE(GpuEnergy("0000:01:00.0", "libc.so.6").joules()) << "a library without NVML's calls";
}

TEST(GpuEnergy, TellsTheDriversVersion) {
  EXPECT_EQ(nvidia_driver_version(WEFT_FAKE_NVML), "570.86.15");
  EXPECT_EQ(nvidia_driver_version("libno-such-library.so"), "");
  EXPECT_EQ(nvidia_driver_version("libc.so.6"), "");
}

}  // namespace
}  // namespace weft
