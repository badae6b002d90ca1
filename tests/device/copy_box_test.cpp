// Boxes of every rank and element size, cut and whole along every dimension, against a plain loop
// over elements. The whole of the target is compared, so a copy that goes wrong by one row, merges
// dimensions that do not continue each other, or writes beside its box is seen.
#include <array>
#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "weft/device/copy_boxes.h"
#include "weft/device/device_api.h"

namespace weft {
namespace {

using Index = std::vector<std::int64_t>;

struct Case {
  Shape from;
  Index from_at;
  Shape to;
  Index to_at;
  Index extent;
};

// Every byte differs from its neighbours, and bytes of `seed` 0 and 1 are never equal.
Tensor bytes(const Shape& shape, DType dtype, int seed) {
  const Tensor t = Tensor::empty(shape, dtype);
  for (std::size_t i = 0; i < t.bytes(); ++i) {
    t.raw()[i] = static_cast<std::byte>(2 * (i * 7 % 127) + static_cast<std::size_t>(seed));
  }
  return t;
}

std::size_t place(const Tensor& t, const Index& at, const Index& i) {
  std::int64_t element = 0;
  for (int d = 0; d < t.shape().rank(); ++d) {
    const auto k = static_cast<std::size_t>(d);
    element = element * t.dim(d) + at[k] + i[k];
  }
  return static_cast<std::size_t>(element) * dtype_size(t.dtype());
}

void plain_copy(const Tensor& from, const Tensor& to, const Case& c) {
  const auto count =
      std::accumulate(c.extent.begin(), c.extent.end(), std::int64_t{1}, std::multiplies<>());
  for (std::int64_t n = 0; n < count; ++n) {
    Index i(c.extent.size());
    std::int64_t rest = n;
    for (std::size_t d = i.size(); d-- > 0; rest /= c.extent[d]) i[d] = rest % c.extent[d];
    std::memcpy(to.raw() + place(to, c.to_at, i), from.raw() + place(from, c.from_at, i),
                dtype_size(from.dtype()));
  }
}

std::vector<Case> cases() {
  std::vector<Case> all{
      {{5, 12, 8}, {0, 3, 0}, {5, 4, 8}, {0, 0, 0}, {5, 4, 8}},  // heads 3 ... 6 out
      {{5, 4, 8}, {0, 0, 0}, {5, 12, 8}, {0, 7, 0}, {5, 4, 8}},  // and back in
      {{3, 7}, {1, 2}, {4, 5}, {0, 0}, {2, 5}},                  // rank 2
      {{6, 5}, {2, 0}, {9, 5}, {3, 0}, {4, 5}},                  // whole rows: one run
      {{3, 5, 7, 9}, {1, 1, 2, 3}, {4, 4, 4, 4}, {2, 0, 1, 0}, {2, 3, 3, 4}},  // cut everywhere
      {{3, 5, 7, 9}, {0, 0, 0, 0}, {3, 5, 7, 9}, {0, 0, 0, 0}, {3, 5, 7, 9}},  // everything
      {{3, 5, 7, 9}, {0, 2, 0, 0}, {3, 2, 7, 9}, {0, 0, 0, 0}, {3, 2, 7, 9}},  // frames of latents
      {{3, 5, 7, 9}, {0, 2, 1, 0}, {3, 2, 5, 9}, {0, 0, 0, 0}, {3, 2, 5, 9}},  // rows of frames
      {{3, 5, 7, 9}, {2, 0, 6, 1}, {5, 5, 3, 9}, {0, 0, 1, 0}, {1, 5, 1, 8}},  // thin in between
      {{3, 5, 1, 9}, {0, 1, 0, 2}, {3, 4, 2, 9}, {0, 0, 1, 1}, {3, 3, 1, 7}},
      {{4, 4, 4}, {0, 0, 1}, {4, 4, 3}, {0, 0, 0}, {4, 4, 3}},  // whole on one side only
      {{2, 3, 4}, {1, 1, 1}, {2, 3, 4}, {0, 0, 0}, {0, 2, 3}},  // nothing
      {{0, 3}, {0, 0}, {2, 3}, {0, 0}, {0, 3}},
  };
  // Each dimension whole or cut on each side, in all combinations.
  for (int mask = 0; mask < 256; ++mask) {
    Index from, from_at, to, to_at, extent;
    for (int d = 0; d < 4; ++d) {
      const bool from_cut = (mask >> d & 1) != 0, to_cut = (mask >> (4 + d) & 1) != 0;
      extent.push_back(d == 1 ? 1 : 2 + d % 2);
      from.push_back(extent.back() + (from_cut ? 2 : 0));
      from_at.push_back(from_cut ? 1 : 0);
      to.push_back(extent.back() + (to_cut ? 3 : 0));
      to_at.push_back(to_cut ? 2 : 0);
    }
    all.push_back({Shape(from), from_at, Shape(to), to_at, extent});
  }
  return all;
}

void expect_plain_copies(DeviceKind device) {
  for (const DType dtype : {DType::u8, DType::bf16, DType::f32}) {
    for (const Case& c : cases()) {
      const Tensor from = bytes(c.from, dtype, 0);
      const Tensor want = bytes(c.to, dtype, 1);
      const Tensor to = want.clone().to(device);
      plain_copy(from, want, c);
      copy_box(from.to(device), c.from_at, to, c.to_at, c.extent);
      const Tensor got = to.to(DeviceKind::cpu);
      if (want.bytes() == 0) continue;
      ASSERT_EQ(std::memcmp(got.raw(), want.raw(), want.bytes()), 0)
          << dtype_name(dtype) << " box " << Shape(c.extent).str() << " of " << c.from.str()
          << " in " << c.to.str();
    }
  }
}

TEST(CopyBox, OnTheCpuIsThePlainLoop) { expect_plain_copies(DeviceKind::cpu); }

TEST(CopyBox, OnCudaIsThePlainLoop) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  expect_plain_copies(DeviceKind::cuda);
}

// More boxes than one launch takes, of all alignments.
void expect_all_at_once(DeviceKind device) {
  std::vector<BoxCopy> boxes;
  std::vector<Tensor> wants;
  for (const DType dtype : {DType::u8, DType::bf16, DType::f32}) {
    for (const Case& c : cases()) {
      const Tensor from = bytes(c.from, dtype, 0);
      wants.push_back(bytes(c.to, dtype, 1));
      boxes.push_back(
          {from.to(device), c.from_at, wants.back().clone().to(device), c.to_at, c.extent});
      plain_copy(from, wants.back(), c);
    }
  }
  copy_boxes(boxes);
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const Tensor got = boxes[i].to.to(DeviceKind::cpu);
    if (got.bytes() == 0) continue;
    ASSERT_EQ(std::memcmp(got.raw(), wants[i].raw(), got.bytes()), 0) << "box " << i;
  }
}

TEST(CopyBoxes, OnTheCpuAreThePlainLoops) { expect_all_at_once(DeviceKind::cpu); }

TEST(CopyBoxes, OnCudaAreThePlainLoops) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  expect_all_at_once(DeviceKind::cuda);
}

// A pitch of 2 GB is more than the driver's pitched copies take.
TEST(CopyBox, OnCudaTakesRowsFarApart) {
  if (cuda_device_api() == nullptr) GTEST_SKIP() << cuda_absent_reason();
  const std::int64_t far = (std::int64_t{1} << 31) + 6;
  if (cuda_device_api()->memory().free < std::size_t{3} * far) GTEST_SKIP() << "too small a GPU";
  const Tensor from = Tensor::zeros({2, far}, DType::u8, DeviceKind::cuda);
  const Tensor mark = bytes({1, 5}, DType::u8, 0);
  for (const std::int64_t row : {0, 1}) {
    copy(mark, from.slice(row, row + 1).reshape({far}).slice(far - 5, far));
  }
  const Tensor to = Tensor::zeros({2, 7}, DType::u8, DeviceKind::cuda);
  copy_box(from, Index{0, far - 5}, to, Index{0, 1}, Index{2, 5});
  const Tensor got = to.to(DeviceKind::cpu);
  for (const std::size_t row : {0U, 1U}) {
    EXPECT_EQ(std::memcmp(got.raw() + row * 7 + 1, mark.raw(), 5), 0) << row;
    EXPECT_EQ(got.raw()[row * 7], std::byte{0});
    EXPECT_EQ(got.raw()[row * 7 + 6], std::byte{0});
  }
}

// Parts of larger tensors: a copy must begin at the slice, not at the storage.
TEST(CopyBox, BeginsAtASlice) {
  const Tensor from = bytes({6, 2, 3}, DType::f32, 0);
  const Tensor to = bytes({5, 4, 3}, DType::f32, 1);
  const Tensor want = to.clone();
  const Case c{{2, 2, 3}, {0, 1, 0}, {2, 4, 3}, {1, 2, 1}, {1, 1, 2}};
  plain_copy(from.slice(3, 5), want.slice(2, 4), c);
  copy_box(from.slice(3, 5), c.from_at, to.slice(2, 4), c.to_at, c.extent);
  EXPECT_EQ(std::memcmp(to.raw(), want.raw(), to.bytes()), 0);
}

TEST(CopyBox, RefusesWhatDoesNotFit) {
  const Tensor a = Tensor::zeros({3, 4, 5}), b = Tensor::zeros({3, 4, 5});
  EXPECT_THROW(copy_box(a, Index{0, 1, 0}, b, Index{0, 0, 0}, Index{3, 4, 5}), Error);
  EXPECT_THROW(copy_box(a, Index{0, 0, 0}, b, Index{0, 0, 3}, Index{3, 4, 3}), Error);
  EXPECT_THROW(copy_box(a, Index{0, -1, 0}, b, Index{0, 0, 0}, Index{1, 1, 1}), Error);
  EXPECT_THROW(copy_box(a, Index{0, 0, 0}, b, Index{0, 0, 0}, Index{1, -1, 1}), Error);
  EXPECT_THROW(copy_box(a, Index{0, 0}, b, Index{0, 0}, Index{1, 1}), Error);
  EXPECT_THROW(copy_box(a, Index{0, 0, 0}, Tensor::zeros({3, 20}), Index{0, 0}, Index{1, 1}),
               Error);
  EXPECT_THROW(copy_box(a, Index{0, 0, 0}, Tensor::empty({3, 4, 5}, DType::bf16), Index{0, 0, 0},
                        Index{1, 1, 1}),
               Error);
}

}  // namespace
}  // namespace weft
