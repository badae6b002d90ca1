#include <fstream>

#include <gtest/gtest.h>

#include "weft/model/vae.h"

#include "support/temp_folder.h"

namespace weft {
namespace {

struct Read {
  VaeConfig config;
  std::vector<std::string> problems;
};

Read read(const std::string& json) {
  const test::TempFolder folder;
  const auto path = folder.path() / "config.json";
  std::ofstream(path) << json;
  Problems problems;
  Read result{VaeConfig::read(path, problems), problems.list()};
  for (const auto& p : result.problems) {
    EXPECT_EQ(p.rfind(path.string(), 0), 0U) << "names the file first: " << p;
  }
  return result;
}

TEST(VaeConfig, DefaultsAreWan21) {
  const auto [c, problems] = read("{}");
  EXPECT_TRUE(problems.empty()) << problems.front();
  EXPECT_EQ(c.base_dim, 96);
  EXPECT_EQ(c.decoder_base_dim, 96);
  EXPECT_EQ(c.dim_mult, (std::vector<std::int64_t>{1, 2, 4, 4}));
  EXPECT_EQ(c.temporal_downsample, (std::vector<bool>{false, true, true}));
  EXPECT_FALSE(c.is_residual);
  EXPECT_EQ(c.patch, 1);
  EXPECT_EQ(c.time_factor, 4);
  EXPECT_EQ(c.space_factor, 8);
  EXPECT_EQ(c.latents_mean.size(), 16U);
  EXPECT_FLOAT_EQ(c.latents_std.back(), 1.916F);
}

TEST(VaeConfig, ReadsTheSecondGenerationAndIgnoresUnknownKeys) {
  const std::string fortyeight = [] {
    std::string list = "[1";
    for (int i = 1; i < 48; ++i) list += fmt::format(",{}", i + 1);
    return list + "]";
  }();
  const auto [c, problems] = read(fmt::format(
      R"({{"base_dim":160,"decoder_base_dim":256,"z_dim":48,"is_residual":true,"in_channels":12,
      "out_channels":12,"patch_size":2,"scale_factor_temporal":4,"scale_factor_spatial":16,
      "clip_output":false,"latents_mean":{0},"latents_std":{0},"attn_scales":[]}})",
      fortyeight));
  EXPECT_TRUE(problems.empty()) << problems.front();
  EXPECT_EQ(c.decoder_base_dim, 256);
  EXPECT_EQ(c.patch, 2);
  EXPECT_EQ(c.space_factor, 16);
  EXPECT_TRUE(c.is_residual);
  EXPECT_EQ(c.latents_mean[47], 48);
}

TEST(VaeConfig, NullTakesTheDefault) {
  const auto [c, problems] =
      read(R"({"base_dim":6,"decoder_base_dim":null,"patch_size":null,"attn_scales":null})");
  EXPECT_TRUE(problems.empty()) << problems.front();
  EXPECT_EQ(c.decoder_base_dim, 6);
  EXPECT_EQ(c.patch, 1);
}

TEST(VaeConfig, FactorsFollowTheLevels) {
  const auto [c, problems] = read(R"({"dim_mult":[1,2],"temperal_downsample":[true]})");
  EXPECT_TRUE(problems.empty()) << problems.front();
  EXPECT_EQ(c.time_factor, 2);
  EXPECT_EQ(c.space_factor, 2);
}

TEST(VaeConfig, EveryWrongKeyIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"base_dim", R"({"base_dim":"wide"})"},
      {"base_dim", R"({"base_dim":0})"},
      {"base_dim", R"({"base_dim":1e300})"},
      {"decoder_base_dim", R"({"decoder_base_dim":-4})"},
      {"z_dim", R"({"z_dim":16.5})"},
      {"latents_mean", R"({"z_dim":8})"},
      {"latents_mean", R"({"latents_mean":[1,2]})"},
      {"latents_std", R"({"latents_std":[0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]})"},
      {"latents_std", R"({"latents_std":["a"]})"},
      {"dim_mult", R"({"dim_mult":[]})"},
      {"dim_mult", R"({"dim_mult":[1,0]})"},
      {"dim_mult", R"({"dim_mult":4})"},
      {"dim_mult", R"({"base_dim":65536})"},
      {"dim_mult", R"({"base_dim":1})"},
      {"temperal_downsample", R"({"temperal_downsample":[true]})"},
      {"temperal_downsample", R"({"temperal_downsample":[0,1,1]})"},
      {"num_res_blocks", R"({"num_res_blocks":true})"},
      {"is_residual", R"({"is_residual":1})"},
      {"in_channels", R"({"in_channels":4})"},
      {"out_channels", R"({"patch_size":2,"in_channels":12})"},
      {"attn_scales", R"({"attn_scales":[0.5]})"},
      {"scale_factor_spatial", R"({"scale_factor_spatial":16})"},
      {"scale_factor_temporal", R"({"temperal_downsample":[false,false,true],
                                    "scale_factor_temporal":4})"},
      {"dim_mult", R"({"is_residual":true,"dim_mult":[1,2,4,8]})"},
  };
  for (const auto& [key, json] : cases) {
    const auto problems = read(json).problems;
    ASSERT_FALSE(problems.empty()) << json;
    EXPECT_NE(problems.front().find(fmt::format(": \"{}\" ", key)), std::string::npos)
        << json << " gave " << problems.front();
  }
}

TEST(VaeConfig, AllProblemsComeTogether) {
  EXPECT_EQ(
      read(R"({"base_dim":0,"z_dim":-1,"is_residual":"no","attn_scales":[1]})").problems.size(),
      4U);
}

TEST(VaeConfig, UnreadableFiles) {
  EXPECT_EQ(read("{\"base_dim\": 6").problems.size(), 1U);
  EXPECT_EQ(read("[1]").problems.size(), 1U);
  // Without a limit, naming the value would need more stack than there is.
  const std::string deep =
      "{\"base_dim\":" + std::string(400000, '[') + std::string(400000, ']') + "}";
  EXPECT_EQ(read(deep).problems.size(), 1U);
  EXPECT_EQ(read("{\"x\":\"" + std::string(1000000, 'x') + "\"}").problems.size(), 1U);
  Problems problems;
  VaeConfig::read("/nonexistent/vae/config.json", problems);
  ASSERT_EQ(problems.list().size(), 1U);
  EXPECT_NE(problems.list().front().find("cannot be read"), std::string::npos);
}

}  // namespace
}  // namespace weft
