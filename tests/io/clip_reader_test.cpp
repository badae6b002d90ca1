#include "weft/io/clip_reader.h"

#include <fstream>

#include <gtest/gtest.h>

#include "weft/base/error.h"
#include "weft/io/video_encoder.h"

#include "support/moving_texture.h"
#include "support/temp_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t width = 48, height = 32;

test::Rgb frame(int index) { return test::texture(width, height, index, 0); }

void write_clip(const fs::path& path, int frames, const std::string& codec = "auto") {
  VideoOptions options{.width = width, .height = height, .fps = 12, .codec = codec, .metadata = {}};
  const auto encoder = open_video(path, options);
  for (int f = 0; f < frames; ++f) encoder->write(frame(f));
  encoder->finish();
}

std::string problem_of(const fs::path& path) {
  try {
    const auto reader = open_clip(path);
    while (reader->next()) continue;
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

#define EXPECT_SAYS(path, words) \
  EXPECT_NE(problem_of(path).find(words), std::string::npos) << "in: " << problem_of(path)

class ClipReading : public testing::Test {
 protected:
  [[nodiscard]] fs::path at(const std::string& name) const { return folder_.path() / name; }
  test::TempFolder folder_;
};

TEST_F(ClipReading, ReadsWhatIsWrittenInEveryForm) {
  write_clip(at("a.mkv"), 12, "ffv1");
  write_clip(at("png/f%03d.png"), 12);
  std::ofstream(at("png/sheet.png")) << "no frame";  // as a contact sheet lies there
  for (const char* name : {"a.mkv", "png", "png/f%03d.png"}) {
    const auto reader = open_clip(at(name));
    EXPECT_EQ(reader->info().width, width);
    EXPECT_EQ(reader->info().height, height);
    EXPECT_EQ(reader->info().fps, std::string(name) == "a.mkv" ? 12 : 0) << name;
    for (int f = 0; f < 12; ++f) {
      const auto image = reader->next();
      ASSERT_TRUE(image) << name << " " << f;
      EXPECT_EQ(image->rgb, frame(f)) << name << " " << f;
    }
    EXPECT_FALSE(reader->next()) << name;
  }
}

TEST_F(ClipReading, AFolderCountsFromAnyNumberButWithoutGaps) {
  write_clip(at("png/%d.png"), 12);  // not padded: 10 comes after 9, not after 1
  fs::remove(at("png/0.png"));
  const auto reader = open_clip(at("png"));
  for (int f = 1; f < 12; ++f) EXPECT_EQ(reader->next()->rgb, frame(f)) << f;
  fs::remove(at("png/7.png"));
  EXPECT_SAYS(at("png"), "frame 7 is missing before 8.png");
  EXPECT_SAYS(at("png/%d.png"), "no first frame");
}

TEST_F(ClipReading, SaysWhatIsWrong) {
  EXPECT_SAYS(at("none.mp4"), "none.mp4");
  std::ofstream(at("text.mp4")) << "not a video at all";
  EXPECT_SAYS(at("text.mp4"), "text.mp4");
  EXPECT_SAYS(at("x%d%d.png"), "2 frame numbers");
  fs::create_directory(at("empty"));
  EXPECT_SAYS(at("empty"), "without numbered PNG files");
  write_clip(at("two/a%d.png"), 2);
  write_clip(at("two/b%d.png"), 2);
  EXPECT_SAYS(at("two"), "several clips (a0.png, b0.png)");
  EXPECT_EQ(problem_of(at("two/b%d.png")), "");
}

TEST_F(ClipReading, FramesOfAnotherSizeAreRefused) {
  write_clip(at("png/%d.png"), 3);
  write_png(at("png/2.png"), {16, 16, test::texture(16, 16)});
  EXPECT_SAYS(at("png"), "2.png: frame 2 has 16 x 16 pixels, the first has 48 x 32");
  std::ofstream(at("png/1.png")) << "broken";
  EXPECT_SAYS(at("png"), "1.png");
}

}  // namespace
}  // namespace weft
