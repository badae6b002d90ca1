#include "weft/base/shape.h"

#include <vector>

#include <gtest/gtest.h>

#include "weft/base/error.h"

namespace weft {
namespace {

TEST(Shape, CountsAndPrintsItsDimensions) {
  const Shape video{3, 480, 832};
  EXPECT_EQ(video.rank(), 3);
  EXPECT_EQ(video.numel(), 3 * 480 * 832);
  EXPECT_EQ(video.str(), "[3, 480, 832]");
  EXPECT_EQ(video[0], 3);
  EXPECT_EQ(video[-1], 832);
  EXPECT_EQ(video[-3], 3);
}

TEST(Shape, ScalarHasOneElementAndAZeroDimensionNone) {
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ(Shape{}.str(), "[]");
  EXPECT_EQ((Shape{4, 0, 7}).numel(), 0);
}

TEST(Shape, ComparesRankAndDimensions) {
  const std::vector<std::int64_t> dims{2, 3};
  EXPECT_EQ(Shape(dims), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
  EXPECT_NE(Shape{}, Shape{0});  // unused entries are zero, the rank still tells them apart
}

TEST(Shape, WithReplacesOneDimension) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.with(1, 9), (Shape{2, 9, 4}));
  EXPECT_EQ(shape.with(-1, 9), (Shape{2, 3, 9}));
  EXPECT_EQ(shape, (Shape{2, 3, 4}));
}

TEST(Shape, RefusesWhatIsNoShape) {
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1}), Error);
  EXPECT_THROW((Shape{2, -1}), Error);
  const Shape shape{2, 3};
  EXPECT_THROW((void)shape[2], Error);
  EXPECT_THROW((void)shape[-3], Error);
  EXPECT_THROW((void)shape.with(2, 1), Error);
}

TEST(DType, SizesAndNames) {
  struct Case {
    DType dtype;
    std::size_t size;
    const char* name;
  };
  for (const Case& c : std::vector<Case>{{DType::f32, 4, "f32"},
                                         {DType::f16, 2, "f16"},
                                         {DType::bf16, 2, "bf16"},
                                         {DType::f8e4m3, 1, "f8e4m3"},
                                         {DType::i32, 4, "i32"},
                                         {DType::u8, 1, "u8"}}) {
    EXPECT_EQ(dtype_size(c.dtype), c.size) << c.name;
    EXPECT_STREQ(dtype_name(c.dtype), c.name);
  }
}

}  // namespace
}  // namespace weft
