#include "weft/model/vae.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "weft/device/device_api.h"

#include "golden/golden_folder.h"
#include "random_vae.h"
#include "support/tolerance.h"

namespace weft {
namespace {

using test::Golden;
using test::RandomVae;
using Mode = WeightSource::Mode;

Tensor frames_to_video(const Tensor& frames) {  // [F, H, W, 3] to [3, F, H, W]
  Tensor video = Tensor::empty({3, frames.dim(0), frames.dim(1), frames.dim(2)});
  const std::int64_t pixels = video.numel() / 3;
  for (std::int64_t i = 0; i < pixels; ++i) {
    for (std::int64_t c = 0; c < 3; ++c) {
      video.data<float>()[c * pixels + i] = frames.data<float>()[3 * i + c];
    }
  }
  return video;
}

Tensor video_to_frames(const Tensor& video) {  // [3, F, H, W] to [F, H, W, 3]
  Tensor frames = Tensor::empty({video.dim(1), video.dim(2), video.dim(3), 3});
  const std::int64_t pixels = video.numel() / 3;
  for (std::int64_t i = 0; i < pixels; ++i) {
    for (std::int64_t c = 0; c < 3; ++c) {
      frames.data<float>()[3 * i + c] = video.data<float>()[c * pixels + i];
    }
  }
  return frames;
}

::testing::AssertionResult same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) {
    return ::testing::AssertionFailure() << a.shape().str() << " and " << b.shape().str();
  }
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    if (std::memcmp(a.data<float>() + i, b.data<float>() + i, sizeof(float)) != 0) {
      return ::testing::AssertionFailure() << "element " << i << " of " << a.shape().str() << ": "
                                           << a.data<float>()[i] << " and " << b.data<float>()[i];
    }
  }
  return ::testing::AssertionSuccess();
}

// ---- against the reference ------------------------------------------------------------------

TEST(VaeGolden, DecodesAndEncodesLikeTheReference) {
  const auto ops = make_cpu_ops(1);
  const auto folders = test::golden_folders();
  ASSERT_FALSE(folders.empty());
  for (const auto& folder : folders) {
    SCOPED_TRACE(folder.string());
    const Golden golden(folder);
    Problems problems;
    const VaeConfig config = VaeConfig::read(golden.path / "vae/config.json", problems);
    problems.throw_if_any();
    const TensorFiles files(golden.path / "vae", "diffusion_pytorch_model");

    WeightSource decoder_weights(files, "vae", Mode::load);
    const VaeDecoder decoder(config, decoder_weights);
    decoder_weights.throw_if_wrong();
    const Tensor steps = golden.tensor("unipc.latents_per_step");  // [K, C, T, h, w], K = 1 dropped
    const Shape latents(steps.shape().dims().last(4));
    const std::int64_t count = steps.numel() / latents.numel();
    const Tensor z =
        steps.reshape({count, latents.numel()}).slice(count - 1, count).reshape(latents);
    const Tensor video = frames_to_video(decode_clip(*ops, decoder, z));
    for (float& x : video.span()) x = std::clamp(x, -1.0F, 1.0F);  // as the reference's is
    const Tensor want = golden.tensor("video");
    ASSERT_EQ(video.shape(), want.shape());
    EXPECT_LT(test::relative_error(video.span(), want.span()), test::golden_f32);

    WeightSource encoder_weights(files, "vae", Mode::load);
    const VaeEncoder encoder(config, encoder_weights);
    encoder_weights.throw_if_wrong();
    const Tensor input = video_to_frames(golden.tensor("encode.input"));
    const Posterior posterior = encode_clip(*ops, encoder, config, input);
    const Tensor mean = golden.tensor("encode.mean");
    const Tensor log_variance = golden.tensor("encode.logvar");
    ASSERT_EQ(posterior.mean.shape(), mean.shape());
    EXPECT_LT(test::relative_error(posterior.mean.span(), mean.span()), test::golden_f32);
    EXPECT_LT(test::relative_error(posterior.log_variance.span(), log_variance.span()),
              test::golden_f32);
  }
}

// ---- any chunking, any rank: the same bits ---------------------------------------------------

VaeConfig small(bool residual) {
  VaeConfig c;
  c.base_dim = 5;
  c.decoder_base_dim = residual ? 6 : 7;  // odd widths: nothing falls on a vector's length
  c.z_dim = 3;
  c.num_res_blocks = residual ? 2 : 1;
  c.is_residual = residual;
  c.patch = residual ? 2 : 1;
  c.in_channels = c.out_channels = 3 * c.patch * c.patch;
  c.space_factor = 8 * c.patch;
  c.latents_mean = {0.5F, -0.25F, 0.125F};
  c.latents_std = {1.5F, 2.0F, 0.75F};
  return c;
}

VaeConfig three_levels(bool residual) {
  VaeConfig c = small(residual);
  c.dim_mult = {2, 4, 4};
  c.temporal_downsample = {true, false};
  c.time_factor = 2;
  c.space_factor = 4 * c.patch;
  return c;
}

VaeConfig one_width() {  // halving 3 channels leaves 1
  VaeConfig c = small(false);
  c.base_dim = c.decoder_base_dim = 3;
  c.dim_mult = {1, 1, 1, 1};
  return c;
}

class VaeShape : public ::testing::TestWithParam<VaeConfig> {
 protected:
  std::unique_ptr<Ops> ops_ = make_cpu_ops(1);
  RandomVae vae_{GetParam()};
};

TEST_P(VaeShape, DecodedBitsDoNotDependOnChunking) {
  const VaeConfig& c = GetParam();
  const VaeDecoder decoder = vae_.decoder();
  const Tensor z = test::random_tensor({c.z_dim, 9, 2, 3}, 1, 11);
  const Tensor by_one = decode_clip(*ops_, decoder, z, 1);
  EXPECT_EQ(by_one.shape(),
            (Shape{1 + 8 * c.time_factor, 2 * c.space_factor, 3 * c.space_factor, 3}));
  EXPECT_TRUE(same_bits(decode_clip(*ops_, decoder, z, 2), by_one));
  EXPECT_TRUE(same_bits(decode_clip(*ops_, decoder, z, 5), by_one));
  // The past alone decides a frame, so a clip cut short is the beginning of the clip.
  const Tensor cut = decode_clip(*ops_, decoder, latent_frames(z, 0, 4), 2);
  EXPECT_TRUE(same_bits(cut, by_one.slice(0, cut.dim(0))));
  const Tensor still = decode_clip(*ops_, decoder, latent_frames(z, 0, 1));
  EXPECT_TRUE(same_bits(still, by_one.slice(0, 1)));
}

TEST_P(VaeShape, EncodedBitsDoNotDependOnChunking) {
  const VaeConfig& c = GetParam();
  const VaeEncoder encoder = vae_.encoder();
  const std::int64_t step = c.time_factor;
  const Tensor x =
      test::random_tensor({1 + 6 * step, 2 * c.space_factor, c.space_factor, 3}, 1, 12);
  const auto encode = [&](std::vector<std::int64_t> steps_per_chunk) {
    LocalHistory history;
    Tensor all;
    std::int64_t frame = 1;
    const Tensor first = encoder.encode(*ops_, x.slice(0, 1), ChunkPosition::first, history);
    all = Tensor::empty(first.shape().with(0, 7));
    copy(first, all.slice(0, 1));
    std::int64_t latent = 1;
    for (const std::int64_t steps : steps_per_chunk) {
      const Tensor part = encoder.encode(*ops_, x.slice(frame, frame + steps * step),
                                         ChunkPosition::later, history);
      copy(part, all.slice(latent, latent + steps));
      frame += steps * step;
      latent += steps;
    }
    return all;
  };
  const Tensor by_one = encode({1, 1, 1, 1, 1, 1});
  EXPECT_EQ(by_one.shape(), (Shape{7, 2, 1, 2 * c.z_dim}));
  EXPECT_TRUE(same_bits(encode({2, 1, 3}), by_one));
  EXPECT_TRUE(same_bits(encode({6}), by_one));

  const Posterior clip = encode_clip(*ops_, encoder, c, x);
  EXPECT_EQ(clip.mean.shape(), (Shape{c.z_dim, 7, 2, 1}));
  const std::int64_t at = by_one.dim(3);  // position (0, 0, 0), then (0, 1, 0)
  EXPECT_EQ(clip.mean.data<float>()[1], by_one.data<float>()[at]);
  EXPECT_EQ(clip.log_variance.data<float>()[1], by_one.data<float>()[at + c.z_dim]);

  // Frames that do not fill a group are dropped.
  const Posterior cut = encode_clip(*ops_, encoder, c, x.slice(0, 2 * step));
  EXPECT_EQ(cut.mean.dim(1), 2);
  EXPECT_TRUE(same_bits(latent_frames(clip.mean, 0, 2), cut.mean));
}

/// Checks every call against what the decoder says about its layers.
class CheckedHistory final : public CausalHistory {
 public:
  CheckedHistory(const VaeDecoder& decoder, std::int64_t h, std::int64_t w)
      : decoder_(decoder), h_(h), w_(w) {}
  void begin(ChunkPosition position) { position_ = position, next_ = 0; }
  void take(int layer, Tensor to) override {
    skip_untouched();
    EXPECT_EQ(layer, next_);
    EXPECT_EQ(to.shape(), decoder_.history_shape(layer, h_, w_)) << "layer " << layer;
    EXPECT_FALSE(taken_);
    taken_ = true;
    local_.take(layer, to);
  }
  void put(int layer, const Tensor& last) override {
    EXPECT_EQ(layer, next_);
    EXPECT_TRUE(taken_) << "layer " << layer << " put before it took";
    EXPECT_EQ(last.shape(), decoder_.history_shape(layer, h_, w_));
    taken_ = false;
    local_.put(layer, last);
    ++next_;
  }
  int end() {
    skip_untouched();
    return next_;
  }

 private:
  void skip_untouched() {
    while (position_ == ChunkPosition::first && next_ < decoder_.history_layers() &&
           decoder_.skips_first(next_)) {
      ++next_;
    }
  }
  const VaeDecoder& decoder_;
  std::int64_t h_, w_;
  LocalHistory local_;
  ChunkPosition position_ = ChunkPosition::first;
  int next_ = 0;
  bool taken_ = false;
};

TEST_P(VaeShape, HistoryIsUsedAsAnnounced) {
  const VaeConfig& c = GetParam();
  const VaeDecoder decoder = vae_.decoder();
  CheckedHistory history(decoder, 2, 3);
  for (const std::int64_t frames : {1, 1, 3}) {
    const auto position =
        frames == 1 && history.end() == 0 ? ChunkPosition::first : ChunkPosition::later;
    history.begin(position);
    decoder.decode(*ops_, test::random_tensor({c.z_dim, frames, 2, 3}, 1, 13), position, history);
    EXPECT_EQ(history.end(), decoder.history_layers());
  }
  const auto upsamplers =
      std::count(c.temporal_downsample.begin(), c.temporal_downsample.end(), true);
  int skipping = 0;
  for (int layer = 0; layer < decoder.history_layers(); ++layer) {
    skipping += decoder.skips_first(layer) ? 1 : 0;
  }
  EXPECT_EQ(skipping, upsamplers);
  const auto resnets =
      2 + static_cast<int>(c.dim_mult.size()) * (static_cast<int>(c.num_res_blocks) + 1);
  EXPECT_EQ(decoder.history_layers(), 2 + 2 * resnets + skipping);
}

TEST_P(VaeShape, ResultsDoNotDependOnThreads) {
  const VaeDecoder decoder = vae_.decoder();
  const Tensor z = test::random_tensor({GetParam().z_dim, 3, 3, 2}, 1, 14);
  const auto three_threads = make_cpu_ops(3);
  EXPECT_TRUE(same_bits(decode_clip(*three_threads, decoder, z), decode_clip(*ops_, decoder, z)));
}

INSTANTIATE_TEST_SUITE_P(Configs, VaeShape,
                         ::testing::Values(small(false), small(true), three_levels(false),
                                           three_levels(true), one_width()),
                         [](const auto& suite) {
                           return fmt::format(
                               "{}{}Levels{}Wide", suite.param.is_residual ? "Residual" : "Plain",
                               suite.param.dim_mult.size(), suite.param.decoder_base_dim);
                         });

// ---- on CUDA
// -------------------------------------------------------------------------------------

class VaeOnCuda : public ::testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    if (!cuda_absent_reason().empty()) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
    ops_ = make_cuda_ops(0, GetParam());
  }
  [[nodiscard]] double bound() const {
    return GetParam() == Precision::f32 ? test::golden_f32 : test::golden_bf16;
  }
  std::unique_ptr<Ops> ops_;
  std::unique_ptr<Ops> cpu_ = make_cpu_ops(2);
};

// Widths in multiples of 8 go to tensor cores, the odd ones of small() do not.
TEST_P(VaeOnCuda, AgreesWithTheCpu) {
  for (VaeConfig c : {small(false), small(true), three_levels(false), three_levels(true)}) {
    for (const bool wide : {false, true}) {
      if (wide) c.base_dim = c.decoder_base_dim = 16;
      SCOPED_TRACE(fmt::format("{} wide, patch {}", c.decoder_base_dim, c.patch));
      RandomVae vae(c);
      const TensorFiles& files = vae.store(vae.tensors());
      WeightSource decoder_weights(files, "vae", Mode::load, *ops_);
      const VaeDecoder decoder(c, decoder_weights);
      const Tensor z = test::random_tensor({c.z_dim, 4, 3, 5}, 1, 21);
      const Tensor video = decode_clip(*ops_, decoder, z.to(DeviceKind::cuda), 2);
      EXPECT_EQ(video.dtype(), DType::f32);
      const Tensor want = decode_clip(*cpu_, vae.decoder(), z, 2);
      EXPECT_LT(test::relative_error(video.to(DeviceKind::cpu).span(), want.span()), bound());

      WeightSource encoder_weights(files, "vae", Mode::load, *ops_);
      const VaeEncoder encoder(c, encoder_weights);
      const Tensor x = test::random_tensor(
          {1 + 2 * c.time_factor, 3 * c.space_factor, 2 * c.space_factor, 3}, 1, 22);
      const Posterior posterior = encode_clip(*ops_, encoder, c, x.to(DeviceKind::cuda));
      const Posterior expected = encode_clip(*cpu_, vae.encoder(), c, x);
      const auto on_host = [](const Tensor& t) { return t.to(DeviceKind::cpu); };
      EXPECT_LT(test::relative_error(on_host(posterior.mean).span(), expected.mean.span()),
                bound());
      EXPECT_LT(test::relative_error(on_host(posterior.log_variance).span(),
                                     expected.log_variance.span()),
                bound());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, VaeOnCuda, ::testing::Values(Precision::f32, Precision::bf16),
                         [](const auto& suite) {
                           return suite.param == Precision::f32 ? "f32" : "bf16";
                         });

// ---- weights -----------------------------------------------------------------------------------

TEST(VaeWeights, PublishedSizesAskForThePublishedParameters) {
  const auto parameters = [](const VaeConfig& c) {
    std::int64_t count = 0;
    for (const auto& wish : test::wanted_tensors(c)) count += wish.want.numel();
    return count;
  };
  VaeConfig wan21;
  EXPECT_EQ(parameters(wan21), 126'892'531);
  VaeConfig wan22;
  wan22.base_dim = 160;
  wan22.decoder_base_dim = 256;
  wan22.z_dim = 48;
  wan22.is_residual = true;
  wan22.patch = 2;
  wan22.in_channels = wan22.out_channels = 12;
  wan22.space_factor = 16;
  EXPECT_EQ(parameters(wan22), 704'688'668);
}

TEST(VaeWeights, EachHalfLeavesTheOtherAloneAndNothingElse) {
  RandomVae vae(small(false));
  auto tensors = vae.tensors();
  tensors["decoder.up_blocks.9.stray"] = test::random_tensor({2}, 1, 15);
  const TensorFiles& files = vae.store(tensors);
  WeightSource for_encoder(files, "vae", Mode::check);
  const VaeEncoder encoder(small(false), for_encoder);
  EXPECT_TRUE(for_encoder.extras().empty());
  EXPECT_TRUE(for_encoder.misfits().empty());
  WeightSource for_decoder(files, "vae", Mode::check);
  const VaeDecoder decoder(small(false), for_decoder);
  EXPECT_EQ(for_decoder.extras(), std::vector<std::string>{"decoder.up_blocks.9.stray"});
}

}  // namespace
}  // namespace weft
