// Bad usage and bad input: every problem at once, exit code 2, nothing written.
#include <gtest/gtest.h>

#include "program.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

struct Case {
  const char* name;
  Words words;                    // after "render"; OUT stands for the output folder
  std::vector<std::string> says;  // parts of the message
};

const std::string model = golden_model("tiny-wan21");
const Words good{"--model", model,      "--prompt", "a kite",  "--width", "64", "--height",
                 "64",      "--frames", "5",        "--steps", "2",       "-o", "OUT/clip.mp4"};

Words change(const std::string& flag, const std::string& value) {
  Words words = good;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == flag) {
      words[i + 1] = value;
      return words;
    }
  }
  words.insert(words.end(), {flag, value});
  return words;
}

class BadInput : public testing::TestWithParam<Case> {};

TEST_P(BadInput, IsRefused) {
  const TempFolder folder;
  Words words{"render"};
  for (std::string word : GetParam().words) {
    if (word.starts_with("OUT")) word = folder.path().string() + word.substr(3);
    words.push_back(word);
  }
  const Outcome ran = run_weft(words);
  EXPECT_EQ(ran.exit_code, 2) << ran.err << ran.out;
  for (const std::string& part : GetParam().says) {
    EXPECT_NE(ran.err.find(part), std::string::npos) << "no \"" << part << "\" in:\n" << ran.err;
  }
  EXPECT_TRUE(fs::is_empty(folder.path())) << "something was written";
}

const std::vector<Case> cases{
    {"UnknownFlag", change("--guidence-scale", "5"), {"--guidence-scale", "--guidance-scale"}},
    {"WidthNotDivisible", change("--width", "100"), {"width", "100", "96", "112"}},
    {"FramesNotFourKPlusOne", change("--frames", "80"), {"frames", "80", "77", "81"}},
    {"NoSteps", change("--steps", "0"), {"steps"}},
    {"StepsNotANumber", change("--steps", "many"), {"steps", "many"}},
    {"GuidanceNan", change("--guidance-scale", "nan"), {"guidance-scale"}},
    {"NoSuchModel", change("--model", "/no/such/folder"), {"/no/such/folder", "no such folder"}},
    {"NoModelFolder", change("--model", WEFT_TEST_DATA), {"model_index.json"}},
    {"OneComponent", change("--model", model + "/transformer"), {"the folder above"}},
    {"EmptyPrompt", change("--prompt", "  "), {"prompt"}},
    {"LongPrompt", change("--prompt", std::string(3000, 'x')), {"prompt", "tokens", "511"}},
    {"PromptNotUtf8", change("--prompt", "\xff\xfe"), {"prompt", "UTF-8"}},
    {"FolderMissing", change("-o", "OUT/no/clip.mp4"), {"/no"}},
    {"UnknownExtension", change("-o", "OUT/clip.xyz"), {".xyz", ".mp4"}},
    {"Sampler", change("--sampler", "unpic"), {"sampler", "unipc"}},
    {"WindowSyntax", change("--window", "64x64"), {"window"}},
    {"ImageForTextModel", change("--image", model + "/model_index.json"), {"image"}},
    {"SceneThatNoWindowReaches",  // one window, whose middle is frame 2
     change("--storyboard", "3: a moon"),
     {"storyboard", "frame 3", "--window", "5 frames"}},
    {"Cuda", change("--device", "cuda"), {"cuda"}},
    {"AllAtOnce",
     {"--model", model,       "--prompt", "",         "--width",
      "100",     "--height",  "65",       "--frames", "6",
      "--steps", "0",         "--fps",    "-1",       "--crf",
      "99",      "--sempler", "x",        "-o",       "OUT/no/clip.abc"},
     {"prompt", "100", "65", "frames", "steps", "fps", "crf", "--sempler", "/no"}},
};
INSTANTIATE_TEST_SUITE_P(Table, BadInput, testing::ValuesIn(cases),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(BadInputOnRanks, IsSaidOnce) {
  const TempFolder folder;
  Words words{"render"};
  for (const std::string& word : change("--steps", "0")) {
    words.push_back(word.starts_with("OUT") ? folder.path().string() + word.substr(3) : word);
  }
  const Outcome ran = run_weft(words, 3);
  EXPECT_EQ(ran.exit_code, 2);
  const std::size_t first = ran.err.find("steps");
  ASSERT_NE(first, std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find("problem", ran.err.find("problem") + 1), std::string::npos) << ran.err;
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(BadInputFiles, DamagedWeightsNameTheFile) {
  const TempFolder folder;
  fs::copy(model, folder.path() / "model", fs::copy_options::recursive);
  const fs::path weights = folder.path() / "model/vae/diffusion_pytorch_model.safetensors";
  fs::permissions(weights, fs::perms::owner_write, fs::perm_options::add);
  fs::resize_file(weights, fs::file_size(weights) / 2);
  const fs::path clip = folder.path() / "clip.mp4";
  Words words{"render"};
  for (const std::string& word : change("--model", (folder.path() / "model").string())) {
    words.push_back(word.starts_with("OUT") ? clip.string() : word);
  }
  const Outcome ran = run_weft(words, 2);
  EXPECT_EQ(ran.exit_code, 2) << ran.err;
  EXPECT_NE(ran.err.find("vae/diffusion_pytorch_model.safetensors"), std::string::npos) << ran.err;
  EXPECT_FALSE(fs::exists(clip));
}

TEST(BadInputFiles, WeightsOfAnotherModelAreListed) {
  const TempFolder folder;
  fs::copy(model, folder.path() / "model", fs::copy_options::recursive);
  const fs::path weights = folder.path() / "model/transformer/diffusion_pytorch_model.safetensors";
  fs::remove(weights);
  fs::copy_file(golden_model("tiny-wan22-5b") + "/transformer/diffusion_pytorch_model.safetensors",
                weights);
  Words words{"render"};
  for (const std::string& word : change("--model", (folder.path() / "model").string())) {
    words.push_back(word.starts_with("OUT") ? (folder.path() / "clip.mp4").string() : word);
  }
  const Outcome ran = run_weft(words);
  EXPECT_EQ(ran.exit_code, 2) << ran.err;
  EXPECT_NE(ran.err.find("patch_embedding.weight"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("likely cause"), std::string::npos) << ran.err;
}

TEST(Usage, HelpAndVersionNeedNothing) {
  EXPECT_EQ(run_weft({"--help"}).exit_code, 0);
  const Outcome version = run_weft({"--version"});
  EXPECT_EQ(version.out, std::string("weft ") + WEFT_VERSION + "\n");
  const Outcome help = run_weft({"render", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* flag : {"--prompt", "--guidance-scale", "--window", "--crf", "--no-metadata"}) {
    EXPECT_NE(help.out.find(flag), std::string::npos) << flag << "\n" << help.out;
  }
  const Outcome typo = run_weft({"rendr"});
  EXPECT_EQ(typo.exit_code, 2);
  EXPECT_NE(typo.err.find("render"), std::string::npos) << typo.err;
}

}  // namespace
}  // namespace weft::test
