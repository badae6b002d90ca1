// The whole ladder of a golden folder, rung by rung: token ids, text embeddings, noise, one
// velocity, each solver step, decode, encode, pixels. A rung starts from the reference's own input,
// so that the first one that fails names the part that is wrong.
#include <cmath>

#include <gtest/gtest.h>

#include "weft/base/rng.h"
#include "weft/device/device_api.h"
#include "weft/io/tokenizer.h"

#include "golden/golden_sampling.h"
#include "support/tolerance.h"

namespace weft::test {
namespace {

/// What the ladder runs on: $WEFT_GOLDEN_BACKEND, "cpu" when unset.
struct LadderBackend {
  std::string name;
  std::unique_ptr<Ops> ops;
  double bound;  // of the relative error (Frobenius) at every rung
  double psnr;   // least, of 8-bit frames, dB
};

const LadderBackend& backend() {
  static const LadderBackend made = [] {
    const char* named = std::getenv("WEFT_GOLDEN_BACKEND");
    const std::string name = named == nullptr || *named == '\0' ? "cpu" : named;
    if (name == "cpu") return LadderBackend{name, make_cpu_ops(2), golden_f32, 50};
    if (name == "cuda_f32")
      return LadderBackend{name, make_cuda_ops(0, Precision::f32), golden_f32, 50};
    if (name == "cuda_bf16") {
      return LadderBackend{name, make_cuda_ops(0, Precision::bf16), golden_bf16, 30};
    }
    fail("WEFT_GOLDEN_BACKEND is \"{}\": expected cpu, cuda_f32 or cuda_bf16", name);
  }();
  return made;
}
Ops& ops() { return *backend().ops; }

/// A stored tensor where, and of the type that, the model takes it.
Tensor on_device(const Tensor& stored) { return stored.to(ops().device()); }
Tensor activation(const Tensor& stored) { return on_device(stored.as(ops().activation())); }

class Ladder : public testing::TestWithParam<fs::path> {
 protected:
  void SetUp() override {
    if (backend().ops == nullptr) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
    Problems problems;
    model = ModelFolder::read(golden.path, problems);
    if (problems.empty()) model.check_weights(problems);
    for (const auto& p : problems.list()) ADD_FAILURE() << p;
    ASSERT_TRUE(problems.empty());
  }

  static void expect_close(const Tensor& got, const Tensor& want, const std::string& what) {
    ASSERT_EQ(got.numel(), want.numel())
        << what << ": " << got.shape().str() << " against " << want.shape().str();
    const Tensor host = got.to(DeviceKind::cpu).as(DType::f32);
    const double error = relative_error(host.span(), want.span());
    EXPECT_LE(error, backend().bound) << what;
    std::printf("  %-28s %.2e\n", what.c_str(), error);
  }

  /// 8-bit frames of a decoded clip [F, H, W, 3] against the reference's.
  struct Pixels {
    double psnr;       // dB
    double differing;  // fraction
    int largest;       // grey levels
  };
  [[nodiscard]] Pixels compare_pixels(const Tensor& decoded) const {
    const Tensor rounded = Tensor::empty(decoded.shape(), DType::u8, ops().device());
    ops().to_u8(decoded, rounded);
    const Tensor pixels = rounded.to(DeviceKind::cpu);
    const StoredTensor& stored = golden.file.tensors().at("video_u8");  // [F, 3, H, W]
    EXPECT_EQ(stored.bytes, pixels.bytes());
    const std::int64_t frame = decoded.dim(1) * decoded.dim(2);
    std::int64_t differ = 0;
    double squares = 0;
    int largest = 0;
    for (std::int64_t i = 0; i < pixels.numel() / 3; ++i) {
      for (std::int64_t c = 0; c < 3; ++c) {
        const int got = pixels.data<std::uint8_t>()[i * 3 + c];
        const int want = static_cast<int>(stored.data[(i / frame * 3 + c) * frame + i % frame]);
        differ += got != want;
        squares += std::pow(got - want, 2);
        largest = std::max(largest, std::abs(got - want));
      }
    }
    const auto count = static_cast<double>(pixels.numel());
    return {10 * std::log10(255.0 * 255.0 * count / squares), static_cast<double>(differ) / count,
            largest};
  }

  Golden golden{GetParam()};
  ModelFolder model;
  LocalAttention attention;
  BothBranches branches;
};

TEST_P(Ladder, TokenIds) {
  const Tokenizer tokenizer(golden.path / "tokenizer");
  const auto& prompts = golden.job["prompts"];
  for (std::size_t i = 0; i < golden.job["token_ids"].size(); ++i) {
    const bool negative = i == negative_index(golden);
    const std::string prompt = negative ? golden.job["negative_prompt"] : prompts[i];
    const std::string cleaned = clean_prompt(prompt, TextCleaning::basic);
    if (!negative) {
      EXPECT_EQ(cleaned, golden.job["cleaned"][i].get<std::string>());
    }
    EXPECT_EQ(tokenizer.encode(cleaned, static_cast<int>(text_length(golden))),
              golden.job["token_ids"][i].get<std::vector<std::int32_t>>())
        << prompt;
  }
}

TEST_P(Ladder, TextEmbeddings) {
  const TextEncoder encoder = model.load_text_encoder(ops());
  const auto check = [&](const std::string& name, std::size_t prompt) {
    const auto ids = golden.job["token_ids"][prompt].get<std::vector<std::int32_t>>();
    const Tensor want = embeds(golden, name, prompt);
    expect_close(encoder.encode(ops(), ids).slice(0, want.dim(0)), want, name);
  };
  check("prompt_embeds", 0);
  check("negative_embeds", negative_index(golden));
  for (std::size_t i = 1; i < golden.job["prompts"].size(); ++i) {
    check("prompt_embeds." + std::to_string(i), i);
  }
}

TEST_P(Ladder, Noise) {
  const Tensor want = golden.tensor("noise");
  const auto noise = torch_randn(golden.job["noise_seed"], want.numel());
  expect_close(Tensor::from(noise, want.shape()), want, "noise");
}

TEST_P(Ladder, Velocity) {
  const WanTransformer net = model.load_transformer("transformer", ops());
  const TextContext text =
      net.prepare_text(ops(), activation(embeds(golden, "prompt_embeds", 0)), text_length(golden));
  const Tensor z = on_device(golden.tensor("noise"));
  const std::int64_t tokens = z.dim(1) * (z.dim(2) / 2) * (z.dim(3) / 2);
  const RopeTable rope = net.rope(z.dim(1), z.dim(2), z.dim(3), {0, tokens}, ops().device());
  const auto check = [&](const std::string& name, const Timestep& t) {
    expect_close(net.forward(ops(), z, t, text, rope, attention), golden.tensor(name), name);
  };
  int seen = 0;
  for (const auto& [name, stored] : golden.file.tensors()) {
    if (!name.starts_with("velocity.t")) continue;
    check(name, {.value = std::stod(name.substr(10)), .first_frame = {}});
    ++seen;
  }
  EXPECT_GE(seen, 1);
  if (golden.has("velocity.first_frame_t0")) {
    check("velocity.first_frame_t0", {.value = 700, .first_frame = 0.0});
  }
}

TEST_P(Ladder, Schedules) {
  const auto check = [&](const std::string& prefix, const Schedule& schedule) {
    const Tensor sigmas = golden.tensor(prefix + ".sigmas");
    const Tensor timesteps = golden.tensor(prefix + ".timesteps");
    ASSERT_EQ(sigmas.numel(), static_cast<std::int64_t>(schedule.sigmas.size())) << prefix;
    ASSERT_EQ(timesteps.numel(), static_cast<std::int64_t>(schedule.timesteps.size())) << prefix;
    EXPECT_LE(relative_error(schedule.sigmas, sigmas.span()), 1e-7) << prefix;
    for (std::size_t i = 0; i < schedule.timesteps.size(); ++i) {
      // Whole numbers must be equal; the Euler grid is float32.
      const float want = timesteps.span()[i];
      EXPECT_NEAR(schedule.timesteps[i], want, want == std::trunc(want) ? 2e-4 : 1e-4)
          << prefix << " step " << i;
    }
  };
  const std::int64_t train = model.scheduler.train_steps;
  const double shift = golden.job["flow_shift"];
  const int steps = golden.job["steps"];
  check("unipc", unipc_schedule(steps, shift, train));
  check("euler", euler_schedule(steps, shift, train));
  for (const auto& [name, stored] : golden.file.tensors()) {  // grid.SAMPLER.nN.shiftS.sigmas
    if (!name.starts_with("grid.") || !name.ends_with(".sigmas")) continue;
    const std::string prefix = name.substr(0, name.size() - 7);
    const std::size_t n = prefix.find(".n");
    const std::size_t s = prefix.find(".shift");
    const std::string sampler = prefix.substr(5, n - 5);
    check(prefix, make_schedule(sampler, std::stoi(prefix.substr(n + 2)),
                                std::stod(prefix.substr(s + 6)), train));
  }
}

class Sampling : public Ladder {
 protected:
  /// Runs all steps of `sampler` from the golden noise and compares after each.
  void run(const std::string& sampler, const std::string& want_name, const Tensor& image_latent) {
    const Tensor want = golden.tensor(want_name);  // [steps, C, T, H, W]
    const auto compare = [&](std::int64_t step, const Tensor& x) {
      const Tensor expected = want.numel() == x.numel() ? want : want.slice(step, step + 1);
      expect_close(x, expected.reshape(x.shape()), want_name + " step " + std::to_string(step));
    };
    const Tensor x = GoldenSampling(golden, model, ops())
                         .run(sampler, image_latent, attention, branches, compare);
    if (image_latent.defined()) {
      expect_close(x, golden.tensor("i2v.final"), "i2v.final");
    } else if (sampler == "unipc") {  // what a user sees: prompt to frames, all of it ours
      const double psnr =
          compare_pixels(decode_clip(ops(), model.load_decoder(ops()), on_device(x))).psnr;
      std::printf("  %-28s %.1f dB\n", "final frames, 8 bits", psnr);
      EXPECT_GE(psnr, backend().psnr);
    }
  }
};

TEST_P(Sampling, UniPc) { run("unipc", "unipc.latents_per_step", {}); }
TEST_P(Sampling, Euler) { run("euler", "euler.latents_per_step", {}); }
TEST_P(Sampling, ImageToVideo) {
  if (!golden.has("i2v.condition")) GTEST_SKIP() << "this folder has no image-to-video results";
  run("unipc", "i2v.latents_per_step", golden.tensor("i2v.condition"));
}

TEST_P(Ladder, DecodeAndPixels) {
  const VaeDecoder decoder = model.load_decoder(ops());
  const Tensor all = golden.tensor("unipc.latents_per_step");
  const Tensor noise = golden.tensor("noise");
  const std::int64_t steps = golden.job["steps"];
  const Tensor z = steps == 1 ? all : all.slice(steps - 1, steps);
  const Tensor decoded = decode_clip(ops(), decoder, on_device(z.clone().reshape(noise.shape())));
  const Tensor video = decoded.to(DeviceKind::cpu);  // [F, H, W, 3]
  const Tensor want = golden.tensor("video");        // [3, F, H, W]
  const std::int64_t positions = want.numel() / 3;
  Tensor planar = Tensor::empty(want.shape());
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t i = 0; i < positions; ++i) {
      planar.span()[static_cast<std::size_t>(c * positions + i)] =
          std::clamp(video.span()[static_cast<std::size_t>(i * 3 + c)], -1.0F, 1.0F);
    }
  }
  expect_close(planar, want, "video");

  const Pixels pixels = compare_pixels(decoded);
  std::printf("  %-28s %.1f dB\n", "frames, 8 bits", pixels.psnr);
  if (ops().activation() == DType::f32) {
    // Equal wherever the exact value is not within rounding distance of a half.
    EXPECT_LE(pixels.largest, 1);
    EXPECT_LE(pixels.differing, 1e-3);
  }
  EXPECT_GE(pixels.psnr, backend().psnr);
}

TEST_P(Ladder, Encode) {
  const VaeEncoder encoder = model.load_encoder(ops());
  Tensor input = golden.tensor("encode.input");  // [3, F, H, W]
  const std::int64_t positions = input.numel() / 3;
  Tensor x = Tensor::empty({input.dim(1), input.dim(2), input.dim(3), 3});
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t i = 0; i < positions; ++i) {
      x.data<float>()[i * 3 + c] = input.data<float>()[c * positions + i];
    }
  }
  const Posterior posterior = encode_clip(ops(), encoder, model.vae, on_device(x));
  if (golden.has("i2v.condition")) {  // frame 0 alone, normalised
    Tensor condition =
        encode_clip(ops(), encoder, model.vae, on_device(x.slice(0, 1))).mean.to(DeviceKind::cpu);
    normalise_latents(model.vae, condition);
    expect_close(condition, golden.tensor("i2v.condition"), "i2v.condition");
  }
  expect_close(posterior.mean, golden.tensor("encode.mean"), "encode.mean");
  expect_close(posterior.log_variance, golden.tensor("encode.logvar"), "encode.logvar");
}

std::string folder_name(const testing::TestParamInfo<fs::path>& info) {
  std::string name = info.param.filename().string();
  if (name.empty()) name = info.param.parent_path().filename().string();
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

// No folder at all is a failure (an empty instantiation would pass).
TEST(GoldenFolders, AreThere) {
  EXPECT_FALSE(golden_folders().empty())
      << "no golden.json in " << golden_root()
      << " or in a folder right below it; $WEFT_GOLDEN_DIR, best as an absolute path, says where";
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Ladder);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Sampling);
INSTANTIATE_TEST_SUITE_P(Golden, Ladder, testing::ValuesIn(golden_folders()), folder_name);
INSTANTIATE_TEST_SUITE_P(Golden, Sampling, testing::ValuesIn(golden_folders()), folder_name);

}  // namespace
}  // namespace weft::test
