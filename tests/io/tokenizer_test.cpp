// Prompt text to token ids, against the ids stored with the golden models.
#include "weft/io/tokenizer.h"

#include <cstdlib>
#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "weft/base/error.h"

namespace weft {
namespace {
namespace fs = std::filesystem;

const fs::path golden = fs::path(WEFT_TEST_DATA) / "golden";

class GoldenTokens : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTokens, CleaningAndIdsMatch) {
  const fs::path folder = golden / GetParam();
  const auto data = nlohmann::json::parse(std::ifstream(folder / "golden.json"));
  const Tokenizer tokenizer(folder / "tokenizer");
  const std::vector<std::string> prompts = data["prompts"];
  const std::vector<std::string> cleaned = data["cleaned"];
  const std::vector<std::vector<std::int32_t>> ids = data["token_ids"];
  ASSERT_EQ(cleaned.size(), prompts.size());
  ASSERT_EQ(ids.size(), prompts.size() + 1);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(clean_prompt(prompts[i], TextCleaning::basic), cleaned[i]);
    EXPECT_EQ(tokenizer.encode(cleaned[i]), ids[i]) << prompts[i];
  }
  const std::string negative = data["negative_prompt"];
  EXPECT_EQ(tokenizer.encode(clean_prompt(negative, TextCleaning::basic)), ids.back());
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTokens,
                         ::testing::Values("tiny-wan21", "tiny-wan22-5b",
                                           "tiny-wan22-a14b-sharded"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Tokenizer, EmptyTextIsOnlyTheEnd) {
  const Tokenizer tokenizer(golden / "tiny-wan21" / "tokenizer");
  EXPECT_EQ(tokenizer.encode(""), std::vector<std::int32_t>{1});
}

TEST(Tokenizer, LongTextIsCutBeforeTheEnd) {
  const Tokenizer tokenizer(golden / "tiny-wan21" / "tokenizer");
  const std::string text = "a red balloon drifts over a quiet harbour at dawn";
  int truncated = -1;
  const auto all = tokenizer.encode(text, 512, &truncated);
  EXPECT_EQ(truncated, 0);
  const int length = static_cast<int>(all.size());
  EXPECT_EQ(tokenizer.encode(text, length, &truncated), all);
  EXPECT_EQ(truncated, 0);
  auto cut = tokenizer.encode(text, length - 3, &truncated);
  EXPECT_EQ(truncated, 3);
  ASSERT_EQ(static_cast<int>(cut.size()), length - 3);
  EXPECT_EQ(cut.back(), all.back());
  cut.pop_back();
  EXPECT_TRUE(std::equal(cut.begin(), cut.end(), all.begin()));
  EXPECT_EQ(tokenizer.encode(text, 1, &truncated), std::vector<std::int32_t>{1});
  EXPECT_EQ(truncated, length - 1);
  EXPECT_EQ(tokenizer.encode(std::string(1'000'000, 'x'), 512, &truncated).size(), 512U);
}

TEST(Tokenizer, SpecialStringsAreOrdinaryText) {
  const Tokenizer tokenizer(golden / "tiny-wan21" / "tokenizer");
  const auto ids = tokenizer.encode("a </s> b");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 1), 1);
  EXPECT_GT(ids.size(), 4U);
}

TEST(Tokenizer, EveryIdIsInTheVocabulary) {
  const Tokenizer tokenizer(golden / "tiny-wan21" / "tokenizer");
  EXPECT_EQ(tokenizer.vocabulary_size(), 498);
  for (const auto id : tokenizer.encode("مرحبا \xF0\x9F\x9A\x80 \xE4\xBD\xA0 \xC3\xA9 \x01 ~")) {
    EXPECT_GE(id, 0);
    EXPECT_LT(id, tokenizer.vocabulary_size());
  }
}

class TokenizerFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "weft_tokenizer_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }
  [[nodiscard]] std::string refusal() const {
    try {
      const Tokenizer tokenizer(folder);
      return "";
    } catch (const InputError& error) {
      return error.what();
    }
  }
  fs::path folder;
};

TEST_F(TokenizerFiles, OtherNameIsFound) {
  fs::copy_file(golden / "tiny-wan21" / "tokenizer" / "spiece.model", folder / "tokenizer.model");
  EXPECT_EQ(Tokenizer(folder).encode(""), std::vector<std::int32_t>{1});
}

TEST_F(TokenizerFiles, MissingOrBrokenModelsAreRefused) {
  EXPECT_NE(refusal().find("looked for spiece.model and tokenizer.model"), std::string::npos);
  std::ofstream(folder / "spiece.model") << "version https://git-lfs.github.com/spec/v1\n";
  EXPECT_NE(refusal().find("git lfs pull"), std::string::npos);
  std::ofstream(folder / "spiece.model") << "no model at all";
  EXPECT_NE(refusal().find("not a sentencepiece model"), std::string::npos);
  std::ofstream(folder / "spiece.model", std::ios::trunc).close();
  EXPECT_NE(refusal(), "");
}

TEST_F(TokenizerFiles, CutModelsAreReadOrRefused) {
  std::ifstream file(golden / "tiny-wan21" / "tokenizer" / "spiece.model", std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  int refused = 0;
  for (std::size_t length = 0; length < whole.size(); length += whole.size() / 97 + 1) {
    std::ofstream(folder / "spiece.model", std::ios::binary) << whole.substr(0, length);
    refused += refusal().empty() ? 0 : 1;
  }
  EXPECT_GT(refused, 50);
}

// The library follows the tables of its normaliser unseen: a jump out of them would read other
// memory. Taken away the check, the first model ends the program.
TEST_F(TokenizerFiles, TablesThatLeadOutsideAreRefused) {
  const fs::path seeds = fs::path(WEFT_TEST_DATA) / "fuzz" / "seeds" / "tokenizer_model";
  fs::copy_file(seeds / "root_is_value", folder / "spiece.model");
  EXPECT_NE(refusal().find("table of character replacements is damaged"), std::string::npos);
  for (const char* sound : {"unigram", "bpe", "char", "word", "bytes"}) {
    fs::copy_file(seeds / sound, folder / "spiece.model", fs::copy_options::overwrite_existing);
    EXPECT_EQ(refusal(), "") << sound;
  }
}

}  // namespace
}  // namespace weft
