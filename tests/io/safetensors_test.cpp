// safetensors: every rule of the format, folders of shards, and conversion to float32.
#include "weft/io/safetensors.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft {
namespace {
namespace fs = std::filesystem;

const fs::path golden = fs::path(WEFT_TEST_DATA) / "golden";

std::string u64(std::uint64_t value) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &value, 8);
  return bytes;
}

std::string file_of(const std::string& header, const std::string& data = "") {
  return u64(header.size()) + header + data;
}

/// A folder of its own for each test, removed afterwards.
class Safetensors : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "weft_safetensors_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }

  fs::path write(const std::string& name, const std::string& bytes) const {
    fs::remove(folder / name);  // some file systems bring an overwritten file to the disk at once
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  }

  /// The message with which a file of these bytes is refused; "" when it is taken.
  std::string refusal(const std::string& bytes) const {
    const fs::path path = write("x.safetensors", bytes);
    try {
      const SafetensorsFile file(path);
      return "";
    } catch (const InputError& error) {
      EXPECT_EQ(error.problems().size(), 1U);
      EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
      EXPECT_LT(std::strlen(error.what()), 1000U);
      return error.what();
    }
  }

  std::string folder_refusal(const std::string& stem = "model") const {
    try {
      const TensorFiles files(folder, stem);
      return "";
    } catch (const InputError& error) {
      return error.what();
    }
  }

  fs::path folder;
};

#define EXPECT_HOLDS(text, part) \
  EXPECT_NE((text).find(part), std::string::npos) << "looked for: " << (part) << "\nin: " << (text)

TEST_F(Safetensors, ReadsEveryGoldenFile) {
  int count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(golden)) {
    if (entry.path().extension() != ".safetensors") continue;
    const SafetensorsFile file(entry.path());
    EXPECT_FALSE(file.tensors().empty()) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 10);
}

TEST_F(Safetensors, ReadsShapesTypesAndBytes) {
  const std::string header =
      R"({"__metadata__":{"format":"pt","a":"b"},"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("none":{"shape":[0,7],"data_offsets":[8,8],"dtype":"F32"},)"
      R"("weight":{"dtype":"U8","shape":[1,2,1,1,1,3],"data_offsets":[8,14]}}   )";
  const SafetensorsFile file(write("a.safetensors", file_of(header, "12345678abcdef")));
  ASSERT_EQ(file.tensors().size(), 3U);
  const StoredTensor& weight = file.tensors().at("weight");
  EXPECT_EQ(weight.dtype, "U8");
  EXPECT_EQ(weight.shape, (Shape{1, 2, 1, 1, 1, 3}));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(weight.data), weight.bytes), "abcdef");
  EXPECT_EQ(file.tensors().at("s").shape, Shape{});
  EXPECT_EQ(file.tensors().at("none").bytes, 0U);
}

TEST_F(Safetensors, KnowsEveryDtypeOfTheFormat) {
  const std::vector<std::pair<std::string, int>> sizes{
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
      {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  for (const auto& [dtype, size] : sizes) {
    const std::string bytes = std::to_string(3 * size);
    EXPECT_EQ(refusal(file_of(R"({"a":{"dtype":")" + dtype + R"(","shape":[3],"data_offsets":[0,)" +
                                  bytes + "]}}",
                              std::string(static_cast<std::size_t>(3 * size), 'x'))),
              "");
  }
}

struct BadFile {
  const char* header;
  const char* reason;
};

TEST_F(Safetensors, RefusesEveryBrokenRule) {
  // Each header is followed by four bytes of data.
  const BadFile cases[] = {
      {R"( {"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "does not start with '{'"},
      {R"([])", "does not start with '{'"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}x)", "not valid JSON"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})", "not valid JSON"},
      {"{\"a\xff\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", "not valid JSON"},
      {"{\"\xed\xa0\x80\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
       "not valid JSON"},
      {R"({"a\u0000":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "U+0000"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       "'a' occurs twice"},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "'dtype' twice"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"extra":1}})", "unknown key 'extra'"},
      {R"({"a":{"shape":[4],"data_offsets":[0,4]}})", "no 'dtype'"},
      {R"({"a":{"dtype":"U8","data_offsets":[0,4]}})", "no 'shape'"},
      {R"({"a":{"dtype":"U8","shape":[4]}})", "no 'data_offsets'"},
      {R"({"a":{"dtype":"u8","shape":[4],"data_offsets":[0,4]}})", "unknown dtype 'u8'"},
      {R"({"a":{"dtype":8,"shape":[4],"data_offsets":[0,4]}})", "the number 8 in 'dtype'"},
      {R"({"a":{"dtype":"U8","shape":4,"data_offsets":[0,4]}})", "the number 4 in 'shape'"},
      {R"({"a":{"dtype":"U8","shape":"4","data_offsets":[0,4]}})", "a string in 'shape'"},
      {R"({"a":{"dtype":"U8","shape":[[4]],"data_offsets":[0,4]}})", "'[' in 'shape'"},
      {R"({"a":{"dtype":"U8","shape":[null],"data_offsets":[0,4]}})", "null in 'shape'"},
      {R"({"a":{"dtype":"U8","shape":[true],"data_offsets":[0,4]}})", "true in 'shape'"},
      {R"({"a":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}})", "the number '4.0' in 'shape'"},
      {R"({"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", "the number -4 in 'shape'"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[-0,4]}})", "in 'data_offsets'"},
      {R"({"a":{"dtype":"U8","shape":[1e400],"data_offsets":[0,4]}})", "not valid JSON"},
      {R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,4]}})",
       "above 2^63 - 1"},
      {R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,4]}})", "in 'shape'"},
      {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,4],"data_offsets":[0,4]}})",
       "more than 6 numbers"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,4]}})", "more than 2 numbers"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0]}})", "two data_offsets"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[]}})", "two data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}})", "63 bits"},
      {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", "63 bits"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", "run backwards"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,4]}})", "needs 3 bytes"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "2 bytes too many"},
      {R"({})", "4 bytes too many"},
      {R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}})", "truncated"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", "there is a hole"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       "there is a hole"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       "they overlap"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "they overlap"},
      {R"({"__metadata__":{"a":1},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "strings only"},
      {R"({"__metadata__":{"a":{}},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "strings only"},
      {R"({"__metadata__":{"a":"","a":""},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "occurs twice in __metadata__"},
      {R"({"__metadata__":{},"__metadata__":{},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "__metadata__ occurs twice"},
      {R"({"__metadata__":"pt","a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "value of '__metadata__'"},
      {R"({"a":[]})", "'[' as the value of 'a'"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":{"b":0}}})", "'{' in 'data_offsets'"},
  };
  for (const BadFile& bad : cases) {
    SCOPED_TRACE(bad.header);
    EXPECT_HOLDS(refusal(file_of(bad.header, "data")), bad.reason);
  }
  // What follows a NUL would be invisible to the JSON reader.
  std::string hidden = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  hidden += std::string("\0garbage", 8);
  EXPECT_HOLDS(refusal(file_of(hidden, "data")), "NUL byte");
}

TEST_F(Safetensors, RefusesBrokenFrames) {
  EXPECT_HOLDS(refusal(""), "empty");
  EXPECT_HOLDS(refusal("1234567"), "7 bytes");
  EXPECT_HOLDS(refusal(u64(0) + "{}"), "header of 0 bytes");
  EXPECT_HOLDS(refusal(u64(100'000'001) + "{}"), "100000001");
  EXPECT_HOLDS(refusal(u64(std::uint64_t{1} << 63U) + "{}"), "9223372036854775808");
  EXPECT_HOLDS(refusal(u64(~std::uint64_t{0}) + "{}"), "18446744073709551615");
  EXPECT_HOLDS(refusal(u64(3) + "{}"), "does not fit");
  EXPECT_EQ(refusal(u64(2) + "{}"), "");
  EXPECT_HOLDS(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"),
               "git lfs pull");
  EXPECT_HOLDS(refusal("\n<!DOCTYPE html><html><body>log in</body></html>"), "web page");
}

TEST_F(Safetensors, RefusesWhatIsNoFile) {
  EXPECT_THROW(SafetensorsFile(folder / "absent.safetensors"), InputError);
  EXPECT_THROW(SafetensorsFile{folder}, InputError);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(SafetensorsFile(folder / "pipe"), InputError);  // and does not wait for a writer
}

TEST_F(Safetensors, LargeHostileHeadersAreRefused) {
  const std::size_t size = 20'000'000;
  const std::string deep_lists(size, '[');
  EXPECT_HOLDS(refusal(file_of(R"({"a":)" + deep_lists)), "'['");
  std::string deep_objects;
  while (deep_objects.size() < size) deep_objects += R"({"dtype":)";
  EXPECT_HOLDS(refusal(file_of(deep_objects)), "'{' in 'dtype'");
  std::string shape = R"({"a":{"dtype":"U8","shape":[1)";
  while (shape.size() < size) shape += ",1";
  EXPECT_HOLDS(refusal(file_of(shape + R"(],"data_offsets":[0,1]}})", "x")), "more than 6");
  EXPECT_HOLDS(refusal(file_of("{\"" + std::string(size, 'a') + "\":{}}")),
               "a string of more than");
  EXPECT_HOLDS(refusal(file_of("{\"" + std::string(5000, 'a') + "\":{}}")),
               "longer than 4096 bytes");
  EXPECT_HOLDS(refusal(file_of(R"({"a":{"dtype":"U8","shape":[)" + std::string(size, '9') + "]}}")),
               "a number of more than");
  std::string many = "{";
  for (int i = 0; many.size() < size; ++i) {
    many += '"' + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
  }
  many.back() = '}';
  EXPECT_HOLDS(refusal(file_of(many)), "more than 200000 tensors");
  std::string metadata = R"({"__metadata__":{)";
  for (int i = 0; metadata.size() < size; ++i) metadata += '"' + std::to_string(i) + R"(":"",)";
  metadata.back() = '}';
  EXPECT_HOLDS(refusal(file_of(metadata + "}")), "keys in __metadata__");
}

// Whatever a damaged file looks like: it is either still valid or refused.
TEST_F(Safetensors, DamagedFilesAreReadOrRefused) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"b.weight":{"dtype":"BF16","shape":[2,3],"data_offsets":[16,28]},)"
      R"("a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})";
  const std::string whole = file_of(header, std::string(28, '\x3f'));
  ASSERT_EQ(refusal(whole), "");
  int refused = 0;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(refusal(whole.substr(0, length)), "") << "cut to " << length;
  }
  std::mt19937 random(7);
  for (int round = 0; round < 6000; ++round) {
    std::string damaged = whole;
    const int edits = 1 + static_cast<int>(random() % 3);
    for (int i = 0; i < edits; ++i) {
      const std::size_t at = random() % (8 + header.size());
      switch (random() % 4) {
        case 0:
          damaged[at] = static_cast<char>(random());
          break;
        case 1:
          damaged[at] = static_cast<char>(damaged[at] ^ (1 << (random() % 8)));
          break;
        case 2:
          damaged[at] = "{}[]\",:0123456789-.e "[random() % 21];
          break;
        default:
          damaged.insert(at, 1, damaged[random() % damaged.size()]);
          break;
      }
    }
    refused += refusal(damaged).empty() ? 0 : 1;
  }
  EXPECT_GT(refused, 4000);  // a change inside a name or in __metadata__ leaves the file valid
}

StoredTensor stored(const char* dtype, const std::vector<std::uint16_t>& values) {
  return {dtype, Shape{static_cast<std::int64_t>(values.size())},
          reinterpret_cast<const std::byte*>(values.data()), 2 * values.size()};
}

TEST(ConvertToF32, EveryHalfIsExact) {
  std::vector<std::uint16_t> values(65536);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint16_t>(i);
  std::vector<float> out(values.size());
  convert_to_f32(stored("F16", values), out.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int exponent = static_cast<int>(i >> 10U & 31U);
    const int mantissa = static_cast<int>(i & 1023U);
    double expected =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) expected = mantissa == 0 ? HUGE_VAL : std::nan("");
    if (i >> 15U) expected = -expected;
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(out[i])) << i;
    } else {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(out[i]),
                std::bit_cast<std::uint32_t>(static_cast<float>(expected)))
          << i;
    }
  }
}

TEST(ConvertToF32, BfloatIsTheUpperHalfOfAFloat) {
  const std::vector<std::uint16_t> values{0x3F80, 0xBF80, 0x0001, 0x7F80, 0x4049, 0x8000};
  std::vector<float> out(values.size());
  convert_to_f32(stored("BF16", values), out.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(out[i]), std::uint32_t{values[i]} << 16U);
  }
}

TEST(ConvertToF32, FloatsMayBeUnaligned) {
  std::vector<std::byte> bytes(13);
  const float values[3] = {1.5F, -0.25F, 3e38F};
  std::memcpy(bytes.data() + 1, values, 12);
  float out[3] = {};
  convert_to_f32({"F32", Shape{3}, bytes.data() + 1, 12}, out);
  EXPECT_EQ(std::memcmp(out, values, 12), 0);
}

TEST(ConvertToF32, NamesTheTypesItCannotConvert) {
  const std::vector<std::uint16_t> values(4);
  for (const char* dtype : {"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "I32", "U32",
                            "F64", "I64", "U64"}) {
    float out[8] = {};
    try {
      convert_to_f32(stored(dtype, values), out);
      FAIL() << dtype << " was converted";
    } catch (const InputError& error) {
      EXPECT_HOLDS(std::string(error.what()), dtype);
      EXPECT_HOLDS(std::string(error.what()), "must be F32, F16 or BF16");
    }
  }
}

std::string one_tensor(const std::string& name) {
  return file_of(R"({")" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x");
}

TEST_F(Safetensors, FolderWithOneFile) {
  write("model.safetensors", one_tensor("a"));
  const TensorFiles files(folder, "model");
  EXPECT_EQ(files.names(), std::vector<std::string>{"a"});
  EXPECT_EQ(files.total_bytes(), 1U);
  ASSERT_NE(files.find("a"), nullptr);
  EXPECT_EQ(files.find("a")->shape, Shape{1});
  EXPECT_EQ(files.find("b"), nullptr);
  EXPECT_EQ(files.files().size(), 1U);
}

TEST_F(Safetensors, GoldenShardsMakeOneFolder) {
  const fs::path shards = golden / "tiny-wan22-a14b-sharded" / "transformer";
  const TensorFiles files(shards, "diffusion_pytorch_model");
  EXPECT_EQ(files.files().size(), 3U);
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (const auto& file : files.files()) {
    count += file->tensors().size();
    for (const auto& [name, tensor] : file->tensors()) {
      EXPECT_EQ(files.find(name), &tensor);
      bytes += tensor.bytes;
    }
  }
  EXPECT_EQ(files.names().size(), count);
  EXPECT_EQ(files.total_bytes(), bytes);
}

TEST_F(Safetensors, FolderWithoutWeightsSaysWhatWasLookedFor) {
  const std::string message = folder_refusal();
  EXPECT_HOLDS(message, "model.safetensors");
  EXPECT_HOLDS(message, "model.safetensors.index.json");
  fs::remove_all(folder);
  EXPECT_HOLDS(folder_refusal(), "no such folder");
}

TEST_F(Safetensors, FolderWithFileAndIndexIsAmbiguous) {
  write("model.safetensors", one_tensor("a"));
  write("2.safetensors", one_tensor("b"));
  write("model.safetensors.index.json",
        R"({"weight_map":{"a":"model.safetensors","b":"2.safetensors"}})");
  EXPECT_HOLDS(folder_refusal(), "holds both");
  write("model.safetensors.index.json", R"({"weight_map":{"a":"model.safetensors"}})");
  EXPECT_EQ(folder_refusal(), "");
}

TEST_F(Safetensors, EveryProblemOfTheShardsIsListed) {
  write("model.safetensors.index.json",
        R"({"metadata":{"total_size":3,"more":[{"deep":null}]},"weight_map":{
            "a":"1.safetensors","b":"1.safetensors","c":"2.safetensors","d":"2.safetensors",
            "e":"gone.safetensors","f":"lost.safetensors","g":"broken.safetensors","h":"../h.safetensors",
            "i":"/etc/passwd"}})");
  write("1.safetensors", one_tensor("a"));
  write("2.safetensors", file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                 R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
                                 R"("c":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},)"
                                 R"("stray":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
                                 "wxyz"));
  write("broken.safetensors", "oops");
  try {
    const TensorFiles files(folder, "model");
    FAIL();
  } catch (const InputError& error) {
    const std::string text = error.what();
    EXPECT_EQ(error.problems().size(), 9U) << text;
    EXPECT_HOLDS(text, "gone.safetensors: missing");
    EXPECT_HOLDS(text, "lost.safetensors: missing");
    EXPECT_HOLDS(text, "broken.safetensors: it has 4 bytes");
    EXPECT_HOLDS(text, "'../h.safetensors', which is not a plain");
    EXPECT_HOLDS(text, "'/etc/passwd', which is not a plain");
    EXPECT_HOLDS(text, "tensor 'a' is in 1.safetensors and again in 2.safetensors");
    EXPECT_HOLDS(text, "1 tensor(s) that model.safetensors.index.json does not list: 'stray'");
    EXPECT_HOLDS(
        text,
        "1.safetensors: lacks 1 tensor(s) that model.safetensors.index.json places in it: 'b'");
    EXPECT_HOLDS(
        text,
        "2.safetensors: lacks 1 tensor(s) that model.safetensors.index.json places in it: 'd'");
  }
}

TEST_F(Safetensors, RefusesBadIndexes) {
  const BadFile cases[] = {
      {"", "not valid JSON"},
      {"[]", "no tensors"},
      {"{}", "no tensors"},
      {R"({"weight_map":{}})", "no tensors"},
      {R"({"weight_map":[]})", "a list in weight_map"},
      {R"({"weight_map":7})", "a number where a map"},
      {R"({"weight_map":{"a":7}})", "a number where a map"},
      {R"({"weight_map":{"a":{"b":"1.safetensors"}}})", "an object in weight_map"},
      {R"({"weight_map":{"a":"1.safetensors","a":"1.safetensors"}})", "'a' occurs twice"},
      {R"({"weight_map":{"a":"1.safetensors"},"weight_map":{"b":"1.safetensors"}})",
       "occurs twice"},
      {R"({"weight_map":{"a":"1.safetensors"})", "not valid JSON"},
      {R"({"metadata":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]],"weight_map":{"a":"1.safetensors"}})",
       "too deeply"},
      {R"({"weight_map":{"a":".."}})", "'..', which is not a plain"},
      {R"({"weight_map":{"a":""}})", "'', which is not a plain"},
      {R"({"weight_map":{"a":"1.safetensors\u0000"}})", "not a plain"},
      {R"({"weight_map":{"a":"pytorch_model.bin"}})", "not a plain *.safetensors"},
      {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
  };
  write("1.safetensors", one_tensor("a"));
  for (const BadFile& bad : cases) {
    SCOPED_TRACE(bad.header);
    write("model.safetensors.index.json", bad.header);
    EXPECT_HOLDS(folder_refusal(), bad.reason);
  }
  write("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors"}})");
  EXPECT_EQ(folder_refusal(), "");
}

TEST_F(Safetensors, WrittenFilesReadBack) {
  const fs::path path = folder / "out.safetensors";
  const std::vector<float> floats{1, -2.5F, 3e-40F, 4, 5, 6};
  Tensor bytes = Tensor::empty(Shape{3}, DType::u8);
  std::memcpy(bytes.raw(), "abc", 3);
  write_safetensors(path, {{"a.bytes", bytes},
                           {"weight", Tensor::from(floats, Shape{2, 3})},
                           {"scalar \"ü\"", Tensor::from(std::vector<float>{7}, Shape{})},
                           {"none", Tensor::empty(Shape{0, 2})}});
  const SafetensorsFile file(path);
  ASSERT_EQ(file.tensors().size(), 4U);
  const StoredTensor& weight = file.tensors().at("weight");
  EXPECT_EQ(weight.dtype, "F32");
  EXPECT_EQ(weight.shape, (Shape{2, 3}));
  EXPECT_EQ(std::memcmp(weight.data, floats.data(), 24), 0);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(weight.data) % 4, 0U);
  EXPECT_EQ(std::memcmp(file.tensors().at("a.bytes").data, "abc", 3), 0);
  EXPECT_EQ(file.tensors().at("scalar \"ü\"").shape, Shape{});
  EXPECT_EQ(file.tensors().at("none").bytes, 0U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1) << "a temporary file is left";
}

TEST_F(Safetensors, WritingSaysWhatWentWrong) {
  try {
    write_safetensors(folder / "absent" / "x.safetensors", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_HOLDS(std::string(error.what()), (folder / "absent").string());
  }
  EXPECT_THROW(write_safetensors(folder, {}), Error);
  EXPECT_THROW(write_safetensors(folder / "x", {{"i", Tensor::empty(Shape{1}, DType::i32)}}),
               Error);
}

}  // namespace
}  // namespace weft
