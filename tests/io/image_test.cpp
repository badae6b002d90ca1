#include "weft/io/image.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "weft/base/error.h"

#include "support/temp_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

const fs::path data = fs::path(WEFT_TEST_DATA) / "io" / "data";

Bytes read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const fs::path& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

// The generator of data/make_images.py.
Image noise(std::int64_t width, std::int64_t height) {
  Image image{width, height, Bytes(static_cast<std::size_t>(width * height * 3))};
  std::uint32_t state = 1;
  for (auto& byte : image.rgb) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return image;
}

std::string input_error(const fs::path& path) {
  try {
    (void)read_image(path);
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

// ---- read_image, against what Pillow's convert("RGB") gives for the same file ----

struct Sample {
  const char* name;
  int largest_difference;  // of a byte
  double mean_difference;
};

class ReadImage : public testing::TestWithParam<Sample> {};

TEST_P(ReadImage, equals_pillow) {
  const auto [name, largest_difference, mean_difference] = GetParam();
  const Image image = read_image(data / name);
  EXPECT_EQ(image.width, 23);
  EXPECT_EQ(image.height, 17);
  const Bytes expected = read_bytes(data / (std::string(name) + ".rgb"));
  ASSERT_EQ(image.rgb.size(), expected.size());
  int largest = 0;
  double sum = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const int difference = std::abs(image.rgb[i] - expected[i]);
    largest = std::max(largest, difference);
    sum += difference;
  }
  EXPECT_LE(largest, largest_difference);
  // A wrong range, matrix or chroma position shows in the mean long before the maximum.
  EXPECT_LE(sum / static_cast<double>(expected.size()), mean_difference);
}

// Lossy formats: the inverse DCT may round a luma or chroma sample the other way, and a chroma step
// is 1.8 steps of blue. CMYK: libjpeg's users multiply by black in another order.
INSTANTIATE_TEST_SUITE_P(samples, ReadImage,
                         testing::Values(Sample{"rgb.bmp", 0, 0}, Sample{"rgba.png", 0, 0},
                                         Sample{"grey_alpha.png", 0, 0},
                                         Sample{"palette.png", 0, 0}, Sample{"palette.gif", 0, 0},
                                         Sample{"bits.png", 0, 0}, Sample{"rgb16.png", 0, 0},
                                         Sample{"lossless.webp", 0, 0}, Sample{"444.jpg", 3, 0.1},
                                         Sample{"422.jpg", 3, 0.1}, Sample{"420.jpg", 3, 0.1},
                                         Sample{"progressive.jpg", 3, 0.1},
                                         Sample{"cmyk.jpg", 4, 1.5}, Sample{"lossy.webp", 3, 0.25}),
                         [](const auto& param) {
                           std::string name = param.param.name;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(read_image, refuses_every_truncation) {
  const test::TempFolder folder;
  for (const char* name : {"rgb.bmp", "rgba.png", "palette.png", "palette.gif", "420.jpg",
                           "progressive.jpg", "lossless.webp", "lossy.webp"}) {
    const Bytes whole = read_bytes(data / name);
    // Short by one byte; from there down, also inside headers. A GIF keeps its blocks' own ends.
    for (std::size_t size = whole.size() - 1; size > 0; size = size * 7 / 8) {
      const fs::path cut = folder.path() / name;
      write_bytes(cut, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
      const std::string text = input_error(cut);
      EXPECT_NE(text.find(cut.string()), std::string::npos)
          << name << " cut to " << size << " of " << whole.size() << ": " << text;
    }
  }
}

TEST(read_image, takes_a_jpeg_with_a_thumbnail_before_and_a_video_behind) {
  const test::TempFolder folder;
  const Bytes picture = read_bytes(data / "420.jpg");
  const Bytes thumbnail = read_bytes(data / "444.jpg");
  Bytes whole{0xFF, 0xD8, 0xFF, 0xEC};  // an APP12 segment, whose length counts its own two bytes
  whole.push_back(static_cast<std::uint8_t>((thumbnail.size() + 2) >> 8));
  whole.push_back(static_cast<std::uint8_t>(thumbnail.size() + 2));
  whole.insert(whole.end(), thumbnail.begin(), thumbnail.end());
  whole.insert(whole.end(), picture.begin() + 2, picture.end());
  Bytes cut(whole.begin(), whole.end() - 60);
  const Bytes behind{0x00, 0x00, 0xFF, 0xDA, 0x12, 0x34, 0x56};
  whole.insert(whole.end(), behind.begin(), behind.end());
  write_bytes(folder.path() / "whole.jpg", whole);
  EXPECT_EQ(read_image(folder.path() / "whole.jpg").rgb, read_image(data / "420.jpg").rgb);
  write_bytes(folder.path() / "cut.jpg", cut);
  EXPECT_NE(input_error(folder.path() / "cut.jpg").find("truncated"), std::string::npos);
}

TEST(read_image, refuses_a_damaged_png) {
  const test::TempFolder folder;
  const Bytes whole = read_bytes(data / "rgba.png");
  const std::size_t pixel_checksum = whole.size() - 12 - 1;  // 12 bytes of IEND behind it
  for (const std::size_t where : {whole.size() / 2, pixel_checksum}) {
    Bytes damaged = whole;
    damaged[where] ^= 0x10;
    write_bytes(folder.path() / "damaged.png", damaged);
    const std::string text = input_error(folder.path() / "damaged.png");
    EXPECT_NE(text.find("damaged"), std::string::npos) << where << ": " << text;
  }
}

TEST(read_image, refuses_what_is_no_image) {
  const test::TempFolder folder;
  const auto with_text = [&](const char* name, const std::string& text) {
    write_bytes(folder.path() / name, Bytes(text.begin(), text.end()));
    return input_error(folder.path() / name);
  };
  EXPECT_NE(with_text("text.png", "not a picture").find("not an image"), std::string::npos);
  EXPECT_NE(with_text("empty.png", "").find("empty"), std::string::npos);
  // A playlist would make FFmpeg open whatever it names.
  EXPECT_NE(
      with_text("list.png", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://host/a.ts\n")
          .find("not a still image"),
      std::string::npos);
  EXPECT_NE(input_error(folder.path() / "absent.png").find("no such file"), std::string::npos);
  EXPECT_NE(input_error(folder.path()).find("not a regular file"), std::string::npos);
  EXPECT_NE(input_error("/dev/zero").find("not a regular file"), std::string::npos);
}

TEST(read_image, limits_each_side) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "side.png";
  write_png(path, noise(16384, 1));
  EXPECT_EQ(read_image(path).width, 16384);
  write_png(path, noise(16385, 1));
  EXPECT_NE(input_error(path).find("16385x1"), std::string::npos);
  write_png(path, noise(1, 16385));
  EXPECT_NE(input_error(path).find("1x16385"), std::string::npos);
}

// ---- write_png ----

TEST(write_png, comes_back_exactly_whatever_the_name) {
  const test::TempFolder folder;
  for (const auto& [width, height] : {std::pair{1, 1}, {23, 17}, {320, 200}, {3, 500}}) {
    const Image image = noise(width, height);
    const fs::path path = folder.path() / "http:50%d picture.png";  // neither protocol nor pattern
    write_png(path, image);
    const Image back = read_image(path);
    EXPECT_EQ(back.width, width);
    EXPECT_EQ(back.height, height);
    EXPECT_EQ(back.rgb, image.rgb);
  }
}

TEST(write_png, gives_equal_bytes_and_leaves_no_temporary) {
  const test::TempFolder folder;
  write_png(folder.path() / "a.png", noise(64, 48));
  write_png(folder.path() / "b.png", noise(64, 48));
  EXPECT_EQ(read_bytes(folder.path() / "a.png"), read_bytes(folder.path() / "b.png"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 2);
}

TEST(write_png, names_a_missing_folder) {
  const test::TempFolder folder;
  try {
    write_png(folder.path() / "absent" / "a.png", noise(2, 2));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("absent"), std::string::npos) << e.what();
  }
}

// ---- resize_lanczos ----

TEST(resize_lanczos, equals_pillow_byte_for_byte) {
  for (const auto& [width, height] :
       {std::pair{1, 1}, {7, 5}, {31, 5}, {5, 23}, {62, 46}, {40, 9}, {8, 60}}) {
    const std::string name = fmt::format("lanczos_{}x{}.rgb", width, height);
    const Image resized = resize_lanczos(noise(31, 23), width, height);
    EXPECT_EQ(resized.width, width);
    EXPECT_EQ(resized.height, height);
    EXPECT_EQ(resized.rgb, read_bytes(data / name)) << name;
  }
}

TEST(resize_lanczos, equals_pillow_at_the_size_of_a_video) {
  const auto hash = [](std::int64_t width, std::int64_t height) {  // FNV-1a
    std::uint64_t value = 0xcbf29ce484222325;
    for (const auto byte : resize_lanczos(noise(333, 217), width, height).rgb) {
      value = (value ^ byte) * 0x100000001b3;
    }
    return value;
  };
  // Printed by data/make_images.py.
  EXPECT_EQ(hash(832, 480), 0x0ef31e45186667aaU);
  EXPECT_EQ(hash(64, 36), 0x17145ace884ad54dU);
  EXPECT_EQ(hash(1, 500), 0xfac7a4e225973787U);
}

TEST(resize_lanczos, leaves_the_same_size_and_flat_colour_alone) {
  const Image image = noise(31, 23);
  EXPECT_EQ(resize_lanczos(image, 31, 23).rgb, image.rgb);
  const Image white{3, 4, Bytes(36, 255)};
  EXPECT_EQ(resize_lanczos(white, 50, 2).rgb, Bytes(300, 255));
}

}  // namespace
}  // namespace weft
