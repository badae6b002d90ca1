// Two clips compared by the program.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "weft/io/flow_meter.h"
#include "weft/io/video_encoder.h"
#include "weft/run/run_record.h"

#include "program.h"
#include "support/moving_texture.h"

namespace weft::test {
namespace {

constexpr std::int64_t width = 96, height = 64;

class CompareCommand : public testing::Test {
 protected:
  /// A clip of lossless frames; from frame 2 on with noise of that deviation.
  fs::path clip(const std::string& name, int frames, int noise = 0, std::int64_t wide = width,
                double fps = 8) {
    const VideoOptions options{
        .width = wide, .height = height, .fps = fps, .codec = "ffv1", .metadata = {}};
    const auto encoder = open_video(at(name), options);
    for (int f = 0; f < frames; ++f) {
      const Rgb clean = texture(wide, height, 1.5 * f, 0.5 * f);
      encoder->write(f >= 2 && noise > 0 ? with_noise(clean, noise, 9U + f) : clean);
    }
    encoder->finish();
    return at(name);
  }
  Outcome compare(const fs::path& a, const fs::path& b, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"compare", a.string(), b.string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words);
  }
  [[nodiscard]] fs::path at(const std::string& name) const { return folder_.path() / name; }
  TempFolder folder_;
};

#define EXPECT_HOLDS(text, words) EXPECT_NE((text).find(words), std::string::npos) << (text)

TEST_F(CompareCommand, EqualFramesAreIdenticalInWhateverFile) {
  const fs::path a = clip("a.mkv", 5);
  const VideoOptions options{.width = width, .height = height, .metadata = {}};
  const auto encoder = open_video(at("b/%03d.png"), options);
  for (int f = 0; f < 5; ++f) encoder->write(texture(width, height, 1.5 * f, 0.5 * f));
  encoder->finish();
  const Outcome ran = compare(a, at("b"), {"--min-psnr", "99", "--json", at("c.json").string()});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_HOLDS(ran.out, "0 of 5 compared differ");
  EXPECT_HOLDS(ran.out, "identical");
  const auto json = nlohmann::json::parse(read_file(at("c.json")));
  EXPECT_EQ(json["identical"], true);
  EXPECT_TRUE(json["psnr"].is_null());
  EXPECT_EQ(json["ssim"], 1.0);
  EXPECT_EQ(json["a"]["fps"], 8);
  EXPECT_TRUE(json["b"]["fps"].is_null());
}

TEST_F(CompareCommand, FiguresOfClipsThatDiffer) {
  const fs::path a = clip("a.mkv", 6), b = clip("b.mkv", 6, 8);
  const Outcome ran =
      compare(a, b, {"--json", at("c.json").string(), "--csv", at("c.csv").string()});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_HOLDS(ran.out, "4 of 6 compared differ");
  EXPECT_HOLDS(ran.out, "2 are equal");
  const auto json = nlohmann::json::parse(read_file(at("c.json")));
  // Noise of deviation 8 in four frames of six; rounding adds 1/12.
  const double mse = 4.0 / 6 * (64 + 1.0 / 12);
  EXPECT_NEAR(json["mse"], mse, 0.03 * mse);
  EXPECT_NEAR(json["psnr"], 10 * std::log10(255.0 * 255.0 / mse), 0.2);
  EXPECT_EQ(json["differing_frames"], 4);
  ASSERT_EQ(json["per_frame"].size(), 6U);
  EXPECT_TRUE(json["per_frame"][1]["psnr"].is_null());
  EXPECT_LE(json["psnr_least"], json["psnr_mean_of_differing"]);
  double sum = 0;
  for (const auto& frame : json["per_frame"]) sum += frame["mse"].get<double>() / 6;
  EXPECT_NEAR(json["mse"], sum, 1e-9);
  EXPECT_LT(json["ssim"], 0.99);
  EXPECT_TRUE(json["per_frame"][0]["warping_error_a"].is_null());
  if (FlowMeter::available()) {
    EXPECT_GT(json["b"]["warping_error"], 10 * json["a"]["warping_error"].get<double>());
    EXPECT_GT(json["per_frame"][5]["counted_b"], 0.5);
  } else {
    EXPECT_HOLDS(ran.out, "built without OpenCV");
    EXPECT_TRUE(json["b"]["warping_error"].is_null());
  }
  const std::string csv = read_file(at("c.csv"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 7) << csv;
  EXPECT_HOLDS(csv, "\n0,0,inf,1,,,,\r\n");

  const Outcome low = compare(a, b, {"--min-psnr", "40"});
  EXPECT_EQ(low.exit_code, 1);
  EXPECT_HOLDS(low.err, "below the 40 dB");
  EXPECT_EQ(compare(a, b, {"--min-psnr", "25"}).exit_code, 0);
  EXPECT_EQ(compare(a, b, {"--min-psnr", "40", "--frames", "2"}).exit_code, 0);
}

TEST_F(CompareCommand, SizesAndLengthsAreToldTogether) {
  const fs::path a = clip("a.mkv", 5), longer = clip("b.mkv", 7), wider = clip("c.mkv", 6, 0, 112);
  const Outcome lengths = compare(a, longer);
  EXPECT_EQ(lengths.exit_code, 2);
  EXPECT_HOLDS(lengths.err, "a.mkv has 5 frames");
  EXPECT_HOLDS(lengths.err, "b.mkv has 7");
  EXPECT_HOLDS(lengths.err, "--frames 5");
  EXPECT_EQ(compare(a, longer, {"--frames", "5"}).exit_code, 0);
  EXPECT_EQ(compare(a, longer, {"--frames", "6"}).exit_code, 2);
  const Outcome both = compare(a, wider);
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_HOLDS(both.err, "96 x 64");
  EXPECT_HOLDS(both.err, "112 x 64");
  EXPECT_HOLDS(both.err, "a.mkv has 5 frames");
  EXPECT_HOLDS(both.err, "2 problems");
}

TEST_F(CompareCommand, AnotherFrameRateIsToldAndFramesAreComparedInOrder) {
  const Outcome ran = compare(clip("a.mkv", 3), clip("b.mkv", 3, 0, width, 24));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_HOLDS(ran.out, "8 and 24 differ");
  EXPECT_HOLDS(ran.out, "identical");
}

TEST_F(CompareCommand, BadInputIsToldAtOnceAndNothingIsWritten) {
  const fs::path a = clip("a.mkv", 2);
  std::ofstream(at("text.mp4")) << "not a video";
  const Outcome ran = compare(at("none.mkv"), at("text.mp4"), {"--json", at("c.json").string()});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_HOLDS(ran.err, "none.mkv");
  EXPECT_HOLDS(ran.err, "text.mp4");
  EXPECT_FALSE(fs::exists(at("c.json")));
  const Outcome bad = compare(
      a, a, {"--frames", "0", "--min-psnr", "nan", "--json", at("nowhere/c.json").string()});
  EXPECT_EQ(bad.exit_code, 2);
  for (const char* words : {"frames: 0", "min-psnr", "nowhere"}) EXPECT_HOLDS(bad.err, words);
  const Outcome one = run_weft({"compare", a.string()});
  EXPECT_EQ(one.exit_code, 2);
  EXPECT_HOLDS(one.err, "name two clips");
}

/// The average that FFmpeg's filter prints: "... average:31.5 ..." or "... All:0.98 ...".
double figure_of_ffmpeg(const fs::path& a, const fs::path& b, const std::string& filter,
                        const std::string& key, const fs::path& log) {
  const std::string graph = "[0:v]format=gbrp[a];[1:v]format=gbrp[b];[a][b]" + filter;
  const std::string command = "ffmpeg -nostdin -i " + shell_word(a.string()) + " -i " +
                              shell_word(b.string()) + " -lavfi " + shell_word(graph) +
                              " -f null - 2>" + shell_word(log.string());
  EXPECT_EQ(std::system(command.c_str()), 0) << read_file(log);
  const std::string text = read_file(log);
  const std::size_t found = text.rfind(key);
  EXPECT_NE(found, std::string::npos) << text;
  return found == std::string::npos ? 0 : std::stod(text.substr(found + key.size()));
}

// Another program, the same definitions.
TEST_F(CompareCommand, AgreesWithFfmpeg) {
  if (std::system("ffmpeg -version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no ffmpeg on PATH";
  const fs::path a = clip("a.mkv", 6), b = clip("b.mkv", 6, 8);
  ASSERT_EQ(compare(a, b, {"--json", at("c.json").string()}).exit_code, 0);
  const auto json = nlohmann::json::parse(read_file(at("c.json")));
  EXPECT_NEAR(json["psnr"], figure_of_ffmpeg(a, b, "psnr", "average:", at("log")), 1e-4);
  EXPECT_NEAR(json["ssim"], figure_of_ffmpeg(a, b, "ssim", "All:", at("log")), 2e-5);
}

// A figure beside the encoder: it is printed, and not a byte of the clip changes.
TEST_F(CompareCommand, ARenderMeasuresWithoutChangingTheClip) {
  const auto render = [&](const std::string& output, const std::vector<std::string>& more) {
    std::vector<std::string> words{"render",
                                   "--model",
                                   golden_model("tiny-wan21"),
                                   "--prompt",
                                   "kite",
                                   "--width",
                                   "64",
                                   "--height",
                                   "64",
                                   "--frames",
                                   "9",
                                   "--steps",
                                   "2",
                                   "--quiet",
                                   "-o",
                                   at(output).string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words);
  };
  const Outcome plain = render("plain.mp4", {});
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_EQ(plain.out.find("warping error"), std::string::npos);
  const Outcome measured = render("measured.mp4", {"--quality-figures"});
  if (!FlowMeter::available()) {
    EXPECT_EQ(measured.exit_code, 2);
    EXPECT_HOLDS(measured.err, "built without OpenCV");
    return;
  }
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  EXPECT_HOLDS(measured.out, "warping error");
  const RunRecord record = read_run_record(at("measured.record.h5"));
  ASSERT_TRUE(record.warping_error.has_value());
  EXPECT_HOLDS(measured.out, fmt::format("warping error {:.3e}", *record.warping_error));
  EXPECT_TRUE(std::ranges::any_of(
      record.versions, [](const std::string& text) { return text.starts_with("OpenCV"); }));
  EXPECT_FALSE(read_run_record(at("plain.record.h5")).warping_error.has_value());
  EXPECT_EQ(read_file(at("plain.mp4")), read_file(at("measured.mp4")));
}

}  // namespace
}  // namespace weft::test
