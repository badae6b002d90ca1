#include "weft/io/video_encoder.h"

#include <cmath>
#include <csignal>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include "weft/io/video_reader.h"

#include "support/temp_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

VideoOptions options_of(std::int64_t width, std::int64_t height) {
  VideoOptions options;
  options.width = width;
  options.height = height;
  return options;
}

// Smooth colours that move; rgb24 [height, width, 3].
Bytes frame_of(const VideoOptions& o, int index) {
  Bytes rgb;
  for (std::int64_t y = 0; y < o.height; ++y) {
    for (std::int64_t x = 0; x < o.width; ++x) {
      const double a = 0.08 * static_cast<double>(x + 2 * index);
      const double b = 0.06 * static_cast<double>(y - index);
      for (const double v : {std::sin(a), std::sin(a + b), std::cos(b)}) {
        rgb.push_back(static_cast<std::uint8_t>(128 + 110 * v));
      }
    }
  }
  return rgb;
}

// Every byte its own way: what a lossless format has to carry.
Bytes noise_of(const VideoOptions& o, int index) {
  Bytes rgb(static_cast<std::size_t>(o.width * o.height * 3));
  std::uint32_t state = static_cast<std::uint32_t>(index) + 1;
  for (auto& byte : rgb) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return rgb;
}

using MakeFrame = Bytes (*)(const VideoOptions&, int);

void encode(const fs::path& path, const VideoOptions& options, int frames,
            MakeFrame make_frame = frame_of) {
  const auto encoder = open_video(path, options);
  for (int i = 0; i < frames; ++i) encoder->write(make_frame(options, i));
  encoder->finish();
}

double psnr(const Bytes& a, const Bytes& b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / sum);
}

std::ptrdiff_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), {});
}

// ---- what comes back ----

struct Kind {
  const char* name;
  const char* codec;
  const char* pix_fmt;
  double least_psnr;  // dB; what chroma subsampling and crf 18 leave of these frames
};

class EachKind : public testing::TestWithParam<Kind> {};

TEST_P(EachKind, plays_every_frame_with_its_colours) {
  const Kind& kind = GetParam();
  const test::TempFolder folder;
  VideoOptions options = options_of(96, 64);
  options.pix_fmt = kind.pix_fmt;
  encode(folder.path() / kind.name, options, 21);
  EXPECT_EQ(entries(folder.path()), 1) << "a temporary was left";

  VideoReader reader(folder.path() / kind.name);
  EXPECT_EQ(reader.info().codec, kind.codec);
  EXPECT_EQ(reader.info().pix_fmt, kind.pix_fmt);
  EXPECT_EQ(reader.info().range, "tv");
  EXPECT_DOUBLE_EQ(reader.info().fps, 16);
  EXPECT_NEAR(reader.info().seconds, 21 / 16.0, 0.002);  // Matroska counts milliseconds
  const bool tells_matrix = std::string(kind.codec) == "h264";
  EXPECT_EQ(reader.info().matrix, tells_matrix ? "bt709" : "unknown");
  int count = 0;
  for (; const auto image = reader.next(); ++count) {
    EXPECT_EQ(image->width, 96);
    EXPECT_EQ(image->height, 64);
    EXPECT_GE(psnr(image->rgb, frame_of(options, count)), kind.least_psnr) << count;
  }
  EXPECT_EQ(count, 21);
}

INSTANTIATE_TEST_SUITE_P(kinds, EachKind,
                         testing::Values(Kind{"420.mp4", "h264", "yuv420p", 38},
                                         Kind{"422.mov", "h264", "yuv422p", 38},
                                         Kind{"444.MKV", "h264", "yuv444p", 38},
                                         Kind{"420.y4m", "rawvideo", "yuv420p", 38},
                                         Kind{"422.y4m", "rawvideo", "yuv422p", 38},
                                         Kind{"444.y4m", "rawvideo", "yuv444p", 38}),
                         [](const auto& param) {
                           std::string name = param.param.name;
                           return name.substr(4) + "_" + name.substr(0, 3);
                         });

TEST(video_encoder, ffv1_and_png_keep_every_byte) {
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 33}, {33, 31}, {63, 47}, {400, 300}}) {
    const test::TempFolder folder;
    VideoOptions options = options_of(width, height);
    encode(folder.path() / "seq" / "f%02d.png", options, 3, noise_of);
    options.codec = "ffv1";
    encode(folder.path() / "a.mkv", options, 3, noise_of);
    VideoReader reader(folder.path() / "a.mkv");
    EXPECT_EQ(reader.info().codec, "ffv1");
    for (int i = 0; i < 3; ++i) {
      const auto image = reader.next();
      ASSERT_TRUE(image);
      EXPECT_EQ(image->rgb, noise_of(options, i)) << width << "x" << height << " frame " << i;
      const Image png = read_image(folder.path() / "seq" / fmt::format("f{:02}.png", i));
      EXPECT_EQ(png.width, width);
      EXPECT_EQ(png.rgb, noise_of(options, i));
    }
    EXPECT_FALSE(reader.next());
    EXPECT_EQ(entries(folder.path() / "seq"), 3);
  }
}

TEST(video_encoder, converts_with_bt709_limited_range) {
  const test::TempFolder folder;
  VideoOptions options = options_of(16, 16);
  // Rec. ITU-R BT.709, 8 bits: white, black, red, green, blue.
  struct Colour {
    std::uint8_t r, g, b;
    int y, cb, cr;
  };
  for (const auto& c : {Colour{255, 255, 255, 235, 128, 128},
                        {0, 0, 0, 16, 128, 128},
                        {255, 0, 0, 63, 102, 240},
                        {0, 255, 0, 173, 42, 26},
                        {0, 0, 255, 32, 240, 118}}) {
    const fs::path path = folder.path() / "a.y4m";
    const auto encoder = open_video(path, options);
    Bytes rgb;
    for (int i = 0; i < 256; ++i) rgb.insert(rgb.end(), {c.r, c.g, c.b});
    encoder->write(rgb);
    encoder->finish();
    const std::string file = read_bytes(path);
    ASSERT_TRUE(file.starts_with("YUV4MPEG2 W16 H16 F16:1 "));
    const std::size_t planes = file.find("FRAME\n") + 6;
    ASSERT_EQ(file.size() - planes, 384U);
    for (std::size_t i = 0; i < 384; ++i) {
      const int expected = i < 256 ? c.y : i < 320 ? c.cb : c.cr;
      ASSERT_NEAR(static_cast<unsigned char>(file[planes + i]), expected, 1) << "at " << i;
    }
  }
}

TEST(video_encoder, sites_chroma_left) {
  const test::TempFolder folder;
  const VideoOptions options = options_of(64, 16);
  const auto blue_ramp = [](const VideoOptions& o, int) {
    Bytes rgb;
    for (std::int64_t i = 0; i < o.width * o.height; ++i) {
      rgb.insert(rgb.end(), {0, 0, static_cast<std::uint8_t>(4 * (i % o.width))});
    }
    return rgb;
  };
  encode(folder.path() / "a.y4m", options, 1, blue_ramp);
  const std::string file = read_bytes(folder.path() / "a.y4m");
  const std::size_t cb = file.find("FRAME\n") + 6 + 64 * 16;
  double sum = 0;
  for (std::size_t k = 4; k < 28; ++k) {  // away from the filter's edges
    const double blue = 4.0 * 2.0 * static_cast<double>(k);
    sum += static_cast<unsigned char>(file[cb + k]) - (128 + 112 * blue / 255);
  }
  EXPECT_NEAR(sum / 24, 0, 0.3);  // half a pixel to the right would be 0.9
}

TEST(video_encoder, gives_a_single_frame_its_time) {
  const test::TempFolder folder;
  for (const char* name : {"a.mp4", "a.mov", "a.mkv"}) {
    encode(folder.path() / name, options_of(32, 32), 1);
    EXPECT_NEAR(VideoReader(folder.path() / name).info().seconds, 1 / 16.0, 0.002) << name;
  }
}

TEST(video_encoder, keeps_metadata_and_odd_frame_rates) {
  const test::TempFolder folder;
  for (const char* name : {"a.mp4", "a.mov", "a.mkv"}) {
    VideoOptions options = options_of(32, 32);
    options.fps = 24000.0 / 1001.0;
    options.metadata = {{"title", "A cat, \"asleep\""},
                        {"comment", "naïve 猫"},
                        {"encoder", "weft 9.9"},
                        {"weft_job", R"({"seed": 42})"}};
    encode(folder.path() / name, options, 3);
    const VideoReader reader(folder.path() / name);
    for (const auto& [key, value] : options.metadata) {
      const auto found = reader.info().metadata.find(key);
      ASSERT_NE(found, reader.info().metadata.end()) << name << ": " << key;
      EXPECT_EQ(found->second, value) << name;
    }
    EXPECT_DOUBLE_EQ(reader.info().fps, 24000.0 / 1001.0) << name;
  }
}

TEST(video_encoder, puts_the_index_first) {
  const test::TempFolder folder;
  encode(folder.path() / "a.mp4", options_of(64, 64), 5);
  const std::string file = read_bytes(folder.path() / "a.mp4");
  ASSERT_NE(file.find("mdat"), std::string::npos);
  EXPECT_LT(file.find("moov"), file.find("mdat"));
}

TEST(video_encoder, gives_equal_files_whatever_the_processors) {
  cpu_set_t all, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  }
  for (const std::string name : {"a.mp4", "a.mkv", "ffv1.mkv", "a.y4m"}) {
    const test::TempFolder folder;
    VideoOptions options = options_of(256, 160);
    if (name == "ffv1.mkv") options.codec = "ffv1";
    encode(folder.path() / name, options, 30);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    encode(folder.path() / ("again_" + name), options, 30);
    ASSERT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
    EXPECT_TRUE(read_bytes(folder.path() / name) == read_bytes(folder.path() / ("again_" + name)))
        << name;
  }
}

// ---- whole or not at all ----

TEST(video_encoder, leaves_nothing_without_finish) {
  for (const char* name : {"a.mp4", "a.mov", "a.mkv", "a.y4m", "%d.png", "made/%d.png"}) {
    const test::TempFolder folder;
    {
      const auto encoder = open_video(folder.path() / name, options_of(32, 32));
      for (int i = 0; i < 3; ++i) encoder->write(frame_of(options_of(32, 32), i));
    }
    EXPECT_EQ(entries(folder.path()), 0) << name;
  }
}

TEST(video_encoder, keeps_the_older_file_until_finish) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "a.mp4";
  std::ofstream(path) << "older";
  {
    const auto encoder = open_video(path, options_of(32, 32));
    encoder->write(frame_of(options_of(32, 32), 0));
    EXPECT_EQ(read_bytes(path), "older");
  }
  EXPECT_EQ(read_bytes(path), "older");
  encode(path, options_of(32, 32), 1);
  EXPECT_EQ(VideoReader(path).info().codec, "h264");
}

TEST(video_encoder, refuses_a_clip_without_frames) {
  const test::TempFolder folder;
  for (const char* name : {"a.mp4", "%d.png"}) {
    EXPECT_THROW(open_video(folder.path() / name, options_of(32, 32))->finish(), Error);
    EXPECT_EQ(entries(folder.path()), 0);
  }
}

// Files of this process may not grow beyond `bytes`, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

void expect_full_disk(const std::string& name, rlim_t bytes, int frames) {
  const test::TempFolder folder;
  std::string text = "no error";
  {
    const FileSizeLimit limit(bytes);
    try {
      VideoOptions options = options_of(160, 96);
      options.crf = 0;
      encode(folder.path() / name, options, frames, noise_of);
    } catch (const Error& e) {
      text = e.what();
    }
  }
  const std::string file = name == "%d.png" ? "0.png" : name;
  EXPECT_NE(text.find((folder.path() / file).string()), std::string::npos) << text;
  EXPECT_NE(text.find("File too large"), std::string::npos) << text;
  EXPECT_EQ(entries(folder.path()), 0) << name;
}

TEST(video_encoder, reports_a_full_disk_and_leaves_nothing) {
  for (const char* name : {"a.mp4", "a.mov", "a.mkv", "a.y4m", "%d.png"}) {
    expect_full_disk(name, 8 << 10, 20);
  }
  // The frame fits; what finish() writes does not.
  for (const char* name : {"a.mp4", "a.mov", "a.mkv", "a.y4m"}) {
    const test::TempFolder folder;
    VideoOptions options = options_of(160, 96);
    options.crf = 0;
    encode(folder.path() / name, options, 1, noise_of);
    expect_full_disk(name, fs::file_size(folder.path() / name) - 1, 1);
  }
}

}  // namespace
}  // namespace weft
