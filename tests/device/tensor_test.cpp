#include "weft/device/tensor.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "weft/device/device_api.h"

namespace weft {
namespace {

// 0, 1, 2, ... in row-major order.
Tensor counting(const Shape& shape) {
  const Tensor t = Tensor::empty(shape);
  std::iota(t.span().begin(), t.span().end(), 0.0F);
  return t;
}

std::vector<float> values(const Tensor& t) { return {t.span().begin(), t.span().end()}; }

TEST(Tensor, EmptyHandleIsUndefined) {
  EXPECT_FALSE(Tensor().defined());
  EXPECT_TRUE(Tensor::empty({2}).defined());
  EXPECT_TRUE(Tensor::empty({0, 3}).defined());  // no elements, yet a tensor
}

TEST(Tensor, StorageIsAlignedAndCounted) {
  for (const std::int64_t n : {1, 3, 16, 17, 1000}) {
    const Tensor t = Tensor::empty({n});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.raw()) % 64, 0U) << n;
    EXPECT_EQ(t.bytes(), static_cast<std::size_t>(n) * 4);
    EXPECT_EQ(t.device(), DeviceKind::cpu);
  }
  EXPECT_EQ(Tensor::empty({5}, DType::bf16).bytes(), 10U);
  EXPECT_EQ(Tensor::empty({5}, DType::u8).bytes(), 5U);
}

TEST(Tensor, ZerosAndFrom) {
  EXPECT_EQ(values(Tensor::zeros({3})), (std::vector<float>{0, 0, 0}));
  const std::vector<float> source{1, 2, 3, 4};
  const Tensor t = Tensor::from(source, {2, 2});
  EXPECT_EQ(values(t), source);
  EXPECT_NE(static_cast<const void*>(t.data<float>()), source.data());
  EXPECT_THROW(Tensor::from(source, {5}), Error);
}

TEST(Tensor, CopyingTheHandleSharesTheData) {
  const Tensor a = counting({4});
  const Tensor b = a;
  b.span()[2] = 20;
  EXPECT_EQ(values(a), (std::vector<float>{0, 1, 20, 3}));
  const Tensor c = a.clone();
  c.span()[2] = 30;
  EXPECT_EQ(a.span()[2], 20);
}

TEST(Tensor, SliceIsRowsOfTheFirstDimension) {
  const Tensor t = counting({4, 3});
  const Tensor middle = t.slice(1, 3);
  EXPECT_EQ(middle.shape(), (Shape{2, 3}));
  EXPECT_EQ(values(middle), (std::vector<float>{3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(values(middle.slice(1, 2)), (std::vector<float>{6, 7, 8}));  // offsets add up
  middle.span()[0] = -1;
  EXPECT_EQ(t.span()[3], -1);
  EXPECT_EQ(t.slice(4, 4).numel(), 0);
  EXPECT_EQ(values(middle.clone()), (std::vector<float>{-1, 4, 5, 6, 7, 8}));
}

TEST(Tensor, SliceOfBytesUsesTheElementSize) {
  const Tensor t = Tensor::empty({3, 2}, DType::u8);
  EXPECT_EQ(t.slice(2, 3).raw() - t.raw(), 4);
}

TEST(Tensor, SliceRefusesWhatIsOutside) {
  const Tensor t = counting({4, 3});
  EXPECT_THROW((void)t.slice(-1, 2), Error);
  EXPECT_THROW((void)t.slice(3, 5), Error);
  EXPECT_THROW((void)t.slice(3, 2), Error);
}

TEST(Tensor, ReshapeKeepsTheElements) {
  const Tensor t = counting({4, 3}).slice(1, 3);
  const Tensor flat = t.reshape({6});
  EXPECT_EQ(values(flat), (std::vector<float>{3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(flat.raw(), t.raw());
  EXPECT_THROW((void)t.reshape({7}), Error);
}

TEST(Tensor, ViewKeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  const std::weak_ptr<std::vector<float>> watch = owner;
  Tensor part;
  {
    const Tensor t = Tensor::view(owner->data(), {3}, DType::f32, DeviceKind::cpu, owner);
    owner.reset();
    part = t.slice(1, 3);
  }
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(values(part), (std::vector<float>{2, 3}));
  part = Tensor();
  EXPECT_TRUE(watch.expired());
}

TEST(Tensor, TypedAccessChecksTheType) {
  const Tensor ids = Tensor::empty({2}, DType::i32);
  EXPECT_NO_THROW((void)ids.data<std::int32_t>());
  EXPECT_THROW((void)ids.data<float>(), Error);
}

TEST(Copy, MovesElementsBetweenShapesOfOneCount) {
  const Tensor from = counting({2, 3});
  const Tensor to = Tensor::zeros({3, 2});
  copy(from, to);
  EXPECT_EQ(values(to), values(from));
  EXPECT_EQ(to.shape(), (Shape{3, 2}));
}

TEST(Copy, TouchesOnlyTheSliceItIsGiven) {
  const Tensor to = Tensor::from(std::vector<float>(5, -1), {5});
  copy(counting({2}), to.slice(2, 4));
  EXPECT_EQ(values(to), (std::vector<float>{-1, -1, 0, 1, -1}));
}

TEST(Copy, RefusesOtherCountsAndTypes) {
  EXPECT_THROW(copy(counting({3}), Tensor::zeros({4})), Error);
  EXPECT_THROW(copy(counting({3}), Tensor::empty({3}, DType::i32)), Error);
}

TEST(Copy, ToItsOwnDeviceIsTheTensorItself) {
  const Tensor t = counting({3});
  EXPECT_EQ(t.to(DeviceKind::cpu).raw(), t.raw());
}

TEST(FillZero, TouchesOnlyTheSliceItIsGiven) {
  const Tensor t = counting({5});
  fill_zero(t.slice(1, 3));
  EXPECT_EQ(values(t), (std::vector<float>{0, 0, 0, 3, 4}));
}

TEST(Tensor, RoundsToTheNearestBfloat16AndBack) {
  // bfloat16 keeps 8 bits: steps of 2^-7 from 1 on. Halves go to the even neighbour.
  const float step = 1.F / 128;
  const std::vector<float> from{0,
                                -0.F,
                                1,
                                1 + step / 2,
                                1 + step * 3 / 2,
                                1 + step * 0.51F,
                                -1 - step * 0.49F,
                                3.3e38F,
                                INFINITY,
                                -INFINITY};
  const std::vector<float> want{0,        -0.F, 1,          1,        1 + 2 * step,
                                1 + step, -1,   3.2963e38F, INFINITY, -INFINITY};
  const Tensor x = Tensor::from(from, {static_cast<std::int64_t>(from.size())});
  const Tensor back = x.as(DType::bf16).as(DType::f32);
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (i == 7) {
      EXPECT_NEAR(back.span()[i] / want[i], 1, 1e-2);
    } else {
      EXPECT_EQ(back.span()[i], want[i]) << from[i];
    }
  }
  const Tensor nan = Tensor::from(std::vector<float>{std::nanf("")}, {1}).as(DType::bf16);
  EXPECT_TRUE(std::isnan(nan.as(DType::f32).data<float>()[0]));
  EXPECT_EQ(x.as(DType::f32).raw(), x.raw());  // nothing to do: the tensor itself
}

TEST(DeviceApi, AbsentMeansAReason) {
  EXPECT_EQ(cuda_absent_reason().empty(), cuda_device_api() != nullptr);
  EXPECT_EQ(cuda_absent_reason().empty(), cuda_device_count() > 0);
}

TEST(DeviceApi, TensorsOfAnAbsentDeviceSayWhy) {
  if (cuda_device_api() != nullptr) GTEST_SKIP() << "this machine has a GPU";
  try {
    const Tensor t = Tensor::empty({2}, DType::f32, DeviceKind::cuda);
    FAIL() << "a tensor on a device that is not there";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(cuda_absent_reason()), std::string::npos) << e.what();
  }
}

TEST(DeviceApi, DataSurvivesTheRoundTrip) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  const Tensor from = counting({1000, 3});
  const Tensor there = Tensor::empty(from.shape(), DType::f32, DeviceKind::cuda);
  copy(from, there);
  const Tensor back = Tensor::zeros({3});
  copy(there.clone().slice(7, 8), back);  // a copy on the device, then one row of it
  EXPECT_EQ(values(back), (std::vector<float>{21, 22, 23}));
}

TEST(DeviceApi, OutOfMemorySaysHowMuchThereIs) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  try {
    const Tensor t = Tensor::empty({1LL << 40}, DType::f32, DeviceKind::cuda);
    FAIL() << "four terabytes on one GPU";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("4398.05 GB asked for"), std::string::npos) << e.what();
  }
  EXPECT_NO_THROW((void)Tensor::empty({4}, DType::f32, DeviceKind::cuda));  // and goes on
}

TEST(DeviceApi, ZerosOfASliceLeaveTheRest) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  const Tensor there = counting({6}).to(DeviceKind::cuda);
  fill_zero(there.slice(2, 5));
  EXPECT_EQ(values(there.to(DeviceKind::cpu)), (std::vector<float>{0, 1, 0, 0, 0, 5}));
  const Tensor zeros = Tensor::zeros({3}, DType::f32, DeviceKind::cuda);
  EXPECT_EQ(values(zeros.to(DeviceKind::cpu)), (std::vector<float>{0, 0, 0}));
}

// Bytes of a weight file at an address of any alignment, as load() gets them.
template <class T>
std::vector<std::byte> misaligned(const std::vector<T>& elements) {
  std::vector<std::byte> bytes(1 + elements.size() * sizeof(T));
  std::memcpy(bytes.data() + 1, elements.data(), elements.size() * sizeof(T));
  return bytes;
}

Tensor loaded(const std::vector<std::byte>& bytes, DType from, DType to, std::int64_t count) {
  const Tensor there = Tensor::empty({count}, to, DeviceKind::cuda);
  cuda_device_api()->load(there.raw(), to, bytes.data() + 1, from, count);
  return there.to(DeviceKind::cpu);
}

std::vector<std::uint16_t> halves(const Tensor& t) {
  const auto* first = reinterpret_cast<const std::uint16_t*>(t.raw());
  return {first, first + t.numel()};
}

TEST(DeviceApi, LoadConvertsEveryType) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  // 1, -2.5, 1 + 2^-7 (the last bit of bf16), the largest half.
  const std::vector<float> numbers{1, -2.5F, 1.0078125F, 65504};
  const std::vector<std::uint16_t> as_half{0x3C00, 0xC100, 0x3C08, 0x7BFF};
  const std::vector<std::uint16_t> as_bf16{0x3F80, 0xC020, 0x3F81, 0x4780};  // 65504 rounds up
  const auto f32 = misaligned(numbers), f16 = misaligned(as_half), bf16 = misaligned(as_bf16);
  EXPECT_EQ(values(loaded(f32, DType::f32, DType::f32, 4)), numbers);
  EXPECT_EQ(values(loaded(f16, DType::f16, DType::f32, 4)), numbers);
  EXPECT_EQ(values(loaded(bf16, DType::bf16, DType::f32, 4)),
            (std::vector<float>{1, -2.5F, 1.0078125F, 65536}));
  EXPECT_EQ(halves(loaded(f32, DType::f32, DType::bf16, 4)), as_bf16);
  EXPECT_EQ(halves(loaded(f16, DType::f16, DType::bf16, 4)), as_bf16);
  EXPECT_EQ(halves(loaded(bf16, DType::bf16, DType::bf16, 4)), as_bf16);
}

// More than both staging buffers hold: each is used again while the other is on its way.
TEST(DeviceApi, LoadOfManyPiecesKeepsTheirOrder) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  const std::int64_t count = (std::int64_t{36} << 20) + 3;  // 151 MB of float32
  std::vector<std::byte> bytes(1 + static_cast<std::size_t>(count) * sizeof(float));
  const auto number = [](std::int64_t i) { return static_cast<float>(i % 251 + i / 65536); };
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = number(i);
    std::memcpy(bytes.data() + 1 + i * 4, &value, sizeof value);
  }
  const Tensor same = loaded(bytes, DType::f32, DType::f32, count);
  const Tensor half = loaded(bytes, DType::f32, DType::bf16, count);
  const auto* short_floats = reinterpret_cast<const std::uint16_t*>(half.raw());
  for (std::int64_t i = 0; i < count; ++i) {
    ASSERT_EQ(same.data<float>()[i], number(i)) << i;
    const auto whole = std::bit_cast<float>(static_cast<std::uint32_t>(short_floats[i]) << 16);
    ASSERT_NEAR(whole, number(i), number(i) / 256) << i;
  }
}

TEST(DeviceApi, MemoryInUseIsCounted) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  const DeviceApi& api = *cuda_device_api();
  constexpr std::size_t bytes = std::size_t{256} << 20;
  const DeviceMemory before = api.memory();
  api.reset_peak();
  {
    const Tensor t = Tensor::empty({bytes}, DType::u8, DeviceKind::cuda);
    EXPECT_GE(api.memory().used, before.used + bytes);
  }
  // Memory is given back in stream order; this waits for it.
  (void)Tensor::zeros({1}, DType::f32, DeviceKind::cuda).to(DeviceKind::cpu);
  const DeviceMemory after = api.memory();
  EXPECT_LT(after.used, before.used + bytes);
  EXPECT_GE(after.peak, before.used + bytes);
  EXPECT_LE(after.free, after.total);
  api.reset_peak();
  EXPECT_LT(api.memory().peak, before.used + bytes);
}

}  // namespace
}  // namespace weft
