#include "weft/model/weight_source.h"

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace weft {
namespace {

using test::TempFolder;
using Mode = WeightSource::Mode;
using ::testing::Test;

Tensor filled(const Shape& shape, float first) {
  Tensor t = Tensor::empty(shape);
  float value = first;
  for (float& x : t.span()) x = value++;
  return t;
}

class WeightSourceTest : public Test {
 protected:
  TensorFiles stored(const std::map<std::string, Tensor>& tensors) {
    write_safetensors(folder_.path() / "model.safetensors", tensors);
    return TensorFiles(folder_.path(), "model");
  }
  static std::string report(const WeightSource& source) {
    Problems problems;
    source.report(problems);
    EXPECT_LE(problems.list().size(), 1U);
    return problems.empty() ? "" : problems.list().front();
  }
  TempFolder folder_;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(WeightSourceTest, LoadsTheStoredValues) {
  const TensorFiles files = stored({{"a.weight", filled({2, 3}, 5)}, {"a.bias", filled({2}, 1)}});
  WeightSource source(files, "vae", Mode::load);
  const Tensor a = source.take("a.weight", {2, 3});
  ASSERT_TRUE(a.defined());
  EXPECT_EQ(a.shape(), (Shape{2, 3}));
  EXPECT_EQ(a.span()[0], 5);
  EXPECT_EQ(a.span()[5], 10);
  EXPECT_EQ(source.take("a.bias", {2}).span()[1], 2);
  EXPECT_EQ(source.bytes_loaded(), 32U);
  EXPECT_EQ(report(source), "");
  EXPECT_NO_THROW(source.throw_if_wrong());
}

// Would catch a part cut at the wrong element, and reading more of the file than was asked for.
TEST_F(WeightSourceTest, TakesIntoGivenSpaceAndParts) {
  const TensorFiles files = stored({{"a", filled({3, 5}, 0)}});
  WeightSource source(files, "vae", Mode::load);
  const Tensor space = Tensor::zeros({17});
  EXPECT_TRUE(source.take_part("a", {3, 5}, {4, 11}, space.slice(1, 8)));
  EXPECT_EQ(source.bytes_read(), 28U);
  EXPECT_EQ(space.span()[0], 0);
  EXPECT_EQ(space.span()[1], 4);
  EXPECT_EQ(space.span()[7], 10);
  EXPECT_EQ(space.span()[8], 0);
  EXPECT_TRUE(source.take_part("a", {3, 5}, {15, 15}, space.slice(17, 17)));
  EXPECT_TRUE(source.take_into("a", {3, 5}, space.slice(2, 17).reshape({3, 5})));
  EXPECT_EQ(space.span()[16], 14);
  EXPECT_EQ(source.bytes_read(), 88U);

  EXPECT_FALSE(source.take_into("absent", {2}, space.slice(0, 2)));
  EXPECT_FALSE(source.take_part("a", {15}, {0, 1}, space.slice(0, 1)));
  EXPECT_EQ(source.misfits().size(), 2U);
  WeightSource check(files, "vae", Mode::check);
  EXPECT_FALSE(check.take_into("a", {3, 5}, {}));
  EXPECT_EQ(report(check), "");
}

TEST_F(WeightSourceTest, CheckModeComparesButLoadsNothing) {
  const TensorFiles files = stored({{"a", filled({4}, 0)}});
  WeightSource source(files, "vae", Mode::check);
  EXPECT_FALSE(source.take("a", {4}).defined());
  EXPECT_EQ(source.bytes_loaded(), 0U);
  EXPECT_EQ(report(source), "");
}

TEST_F(WeightSourceTest, ListsMissingWrongAndUnknownTogether) {
  Tensor bytes = Tensor::empty({2}, DType::u8);
  bytes.span<std::uint8_t>()[0] = bytes.span<std::uint8_t>()[1] = 1;
  const TensorFiles files =
      stored({{"bytes", bytes}, {"wide", filled({2, 8}, 0)}, {"stray", filled({3}, 0)}});
  WeightSource source(files, "transformer", Mode::load);
  EXPECT_FALSE(source.take("absent", {7}).defined());
  EXPECT_FALSE(source.take("bytes", {2}).defined());
  EXPECT_FALSE(source.take("wide", {2, 4}).defined());
  const std::string text = report(source);
  EXPECT_TRUE(contains(text, "transformer: the weights in " + folder_.path().string())) << text;
  EXPECT_TRUE(contains(text, "missing (1): absent [7]")) << text;
  EXPECT_TRUE(contains(text, "bytes: found U8 [2], want [2] (F32, F16 or BF16)")) << text;
  EXPECT_TRUE(contains(text, "wide: found F32 [2, 8], want [2, 4]")) << text;
  EXPECT_TRUE(contains(text, "unknown (1): stray [3]")) << text;
  EXPECT_THROW(source.throw_if_wrong(), InputError);
}

TEST_F(WeightSourceTest, IgnoredNamesAndPrefixesAreNotUnknown) {
  const TensorFiles files = stored({{"decoder.x", filled({1}, 0)},
                                    {"encoder.x", filled({1}, 0)},
                                    {"encoder.y", filled({1}, 0)},
                                    {"norm_added_q", filled({1}, 0)}});
  WeightSource source(files, "vae", Mode::check);
  source.take("decoder.x", {1});
  EXPECT_EQ(source.extras().size(), 3U);
  source.ignore_prefix("encoder.");
  EXPECT_EQ(source.extras(), std::vector<std::string>{"norm_added_q"});
  source.ignore("norm_added_q");
  EXPECT_EQ(report(source), "");
}

TEST_F(WeightSourceTest, StoredBytesUnderEitherName) {
  const auto first = [](const TensorFiles& files) {
    WeightSource source(files, "text_encoder", Mode::load);
    const StoredTensor* table = source.take_stored("name", "alias", {2});
    EXPECT_EQ(report(source), "");
    float values[2] = {};
    if (table != nullptr) convert_to_f32(*table, values);
    return values[0];
  };
  EXPECT_EQ(first(stored({{"alias", filled({2}, 3)}})), 3);
  EXPECT_EQ(first(stored({{"name", filled({2}, 4)}})), 4);
  EXPECT_EQ(first(stored({{"alias", filled({2}, 3)}, {"name", filled({2}, 9)}})), 9);

  const TensorFiles neither = stored({{"other", filled({2}, 3)}});
  WeightSource source(neither, "text_encoder", Mode::load);
  EXPECT_EQ(source.take_stored("name", "alias", {2}), nullptr);
  EXPECT_TRUE(contains(report(source), "missing (1): name [2]"));
}

TEST_F(WeightSourceTest, NamesTheModelThatTheFilesHold) {
  const TensorFiles files = stored({{"patch_embedding.weight", filled({5120, 16, 1, 2, 2}, 0)},
                                    {"patch_embedding.bias", filled({5120}, 0)}});
  WeightSource source(files, "transformer", Mode::check);
  source.take("patch_embedding.weight", {1536, 16, 1, 2, 2});
  source.take("patch_embedding.bias", {1536});
  const std::string text = report(source);
  EXPECT_TRUE(contains(text,
                       "the files hold the 14B text-to-video transformer, but config.json "
                       "describes the 1.3B text-to-video transformer"))
      << text;
}

TEST_F(WeightSourceTest, CountsBlocksBothWays) {
  std::map<std::string, Tensor> tensors{{"head", filled({1}, 0)}};
  for (int i = 0; i < 3; ++i) tensors[fmt::format("blocks.{}.w", i)] = filled({1}, 0);
  const TensorFiles files = stored(tensors);
  const auto cause_for = [&](int blocks) {
    WeightSource source(files, "transformer", Mode::check);
    source.take("head", {1});
    for (int i = 0; i < blocks; ++i) source.take(fmt::format("blocks.{}.w", i), {1});
    return report(source);
  };
  EXPECT_TRUE(contains(cause_for(5), "config.json asks for 5 blocks, the files hold 3"));
  EXPECT_TRUE(contains(cause_for(2), "config.json asks for 2 blocks, the files hold 3"));
  EXPECT_EQ(cause_for(3), "");
}

TEST_F(WeightSourceTest, TellsOtherCausesApart) {
  const TensorFiles files = stored({{"a.weight", filled({2}, 0)}, {"b.weight", filled({2}, 0)}});
  WeightSource no_bias(files, "vae", Mode::check);
  for (const char* name : {"a", "b"}) {
    no_bias.take(fmt::format("{}.weight", name), {2});
    no_bias.take(fmt::format("{}.bias", name), {2});
  }
  EXPECT_TRUE(contains(report(no_bias), "without their biases"));

  WeightSource cut_short(files, "vae", Mode::check);
  for (const char* name : {"a.weight", "b.weight", "c.weight"}) cut_short.take(name, {2});
  EXPECT_TRUE(contains(report(cut_short), "incomplete download"));

  WeightSource other(files, "vae", Mode::check);
  other.take("decoder.conv_in.weight", {2});
  EXPECT_TRUE(contains(report(other), "another component"));

  const TensorFiles original = stored({{"blocks.0.self_attn.q.weight", filled({2}, 0)}});
  WeightSource layout(original, "transformer", Mode::check);
  layout.take("blocks.0.attn1.to_q.weight", {2});
  EXPECT_TRUE(contains(report(layout), "original Wan layout"));
}

TEST_F(WeightSourceTest, LongListsAreCut) {
  const TensorFiles files = stored({{"a", filled({1}, 0)}});
  WeightSource source(files, "vae", Mode::check);
  source.take("a", {1});
  for (int i = 0; i < 20; ++i) source.take(fmt::format("missing{}", i), {1});
  const std::string text = report(source);
  EXPECT_TRUE(contains(text, "missing (20): missing0 [1]")) << text;
  EXPECT_TRUE(contains(text, " and 12 more")) << text;
}

}  // namespace
}  // namespace weft
