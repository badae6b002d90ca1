// Published sizes of the models: operation counts to 1 %, parameter counts exactly.
#include "weft/grid/cost.h"

#include <numeric>

#include <gtest/gtest.h>

namespace weft {
namespace {

constexpr double tera = 1e12;

const TransformerSize wan_1_3b{.dim = 1536, .ffn = 8960, .layers = 30, .heads = 12};
const TransformerSize wan_14b{};
const TransformerSize wan_5b{
    .dim = 3072, .ffn = 14336, .layers = 30, .heads = 24, .in_channels = 48, .out_channels = 48};
const VaeSize vae_22{.base_dim = 160,
                     .decoder_base_dim = 256,
                     .z_dim = 48,
                     .is_residual = true,
                     .in_channels = 12,
                     .out_channels = 12};

const Box clip_480p = whole(21, 60, 104);
const Box clip_5b = whole(31, 44, 80);
const Box clip_720p = whole(21, 90, 160);

void expect_tera(double flops, double expected) {
  EXPECT_NEAR(flops / tera, expected, 0.01 * expected);
}

TEST(Cost, TransformerForward) {
  EXPECT_EQ(tokens_of(clip_480p), 32760);
  EXPECT_EQ(tokens_of(clip_5b), 27280);
  EXPECT_EQ(tokens_of(clip_720p), 75600);
  const auto small = transformer_flops(wan_1_3b, 32760);
  expect_tera(small.total(), 283.0);
  expect_tera(small.self_linear, 18.6);
  expect_tera(small.self_attention, 197.8);
  expect_tera(small.cross_linear, 9.3);
  expect_tera(small.cross_attention, 3.1);
  expect_tera(small.ffn, 54.1);
  expect_tera(transformer_flops(wan_5b, 27280).total(), 517.0);
  expect_tera(transformer_flops(wan_14b, 75600).total(), 6523.4);
}

TEST(Cost, TransformerParameters) {
  EXPECT_EQ(transformer_parameters(wan_1_3b), 1418996800);
  EXPECT_EQ(transformer_parameters(wan_14b), 14288491584);
  EXPECT_EQ(transformer_parameters(wan_5b), 4999787712);
  TransformerSize image_to_video = wan_14b;
  image_to_video.in_channels = 36;
  EXPECT_EQ(transformer_parameters(image_to_video), 14288901184);
}

TEST(Cost, TextEncoder) {
  expect_tera(text_encoder_flops({}, 512), 4.84);
  expect_tera(text_encoder_flops({}, 150), 1.40);
  EXPECT_EQ(text_encoder_parameters({}), 5680910336);
}

TEST(Cost, VaeOperations) {
  expect_tera(vae_decode_cost({}, clip_480p).flops, 275);
  expect_tera(vae_decode_cost(vae_22, clip_5b).flops, 2011);
  expect_tera(vae_decode_cost({}, clip_720p).flops, 639);
  expect_tera(vae_encode_cost({}, clip_480p).flops, 164);
  expect_tera(vae_encode_cost(vae_22, clip_5b).flops, 383);
  expect_tera(vae_encode_cost({}, clip_720p).flops, 382);
  expect_tera(vae_encode_cost(vae_22, whole(1, 44, 80)).flops, 4.2);
}

TEST(Cost, VaeParameters) {
  EXPECT_EQ(vae_decode_cost({}, clip_480p).parameters + vae_encode_cost({}, clip_480p).parameters,
            126892531);
  EXPECT_EQ(
      vae_decode_cost(vae_22, clip_5b).parameters + vae_encode_cost(vae_22, clip_5b).parameters,
      704688668);
}

TEST(Cost, TrafficCountsEachDirection) {
  const TransferPlan plan{{0, 1, 0, 1, whole(1, 2, 2)},
                          {1, 0, 1, 0, whole(1, 2, 4)},
                          {1, 1, 2, 1, whole(9, 9, 9)}};  // stays on its rank: no traffic
  const auto bytes = traffic(plan, 16, 3);
  ASSERT_EQ(bytes.size(), 3U);
  EXPECT_EQ(bytes[0].sent, 4 * 16 * 4);
  EXPECT_EQ(bytes[0].received, 8 * 16 * 4);
  EXPECT_EQ(bytes[1].sent, 8 * 16 * 4);
  EXPECT_EQ(bytes[1].received, 4 * 16 * 4);
  EXPECT_EQ(bytes[2].sent + bytes[2].received, 0);
}

}  // namespace
}  // namespace weft
