#include "weft/io/tokenizer.h"

#include <algorithm>
#include <fstream>

#include <sentencepiece_processor.h>

#include "weft/base/error.h"

#include "sentencepiece_check.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t max_model_bytes = 100'000'000;  // a vocabulary of 256,000 takes 4.5 MB

fs::path find_model(const fs::path& folder) {
  for (const char* name : {"spiece.model", "tokenizer.model"}) {
    std::error_code error;
    if (fs::is_regular_file(folder / name, error)) return folder / name;
  }
  fail_input(
      "{}: no tokenizer: looked for spiece.model and tokenizer.model; is the download complete?",
      folder.string());
}

std::string read_model(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(path, error);
  if (error) fail_input("{}: cannot be read: {}", path.string(), error.message());
  if (bytes > max_model_bytes) {
    fail_input("{}: {} bytes; a sentencepiece model has at most {}", path.string(), bytes,
               max_model_bytes);
  }
  std::string data(bytes, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(data.data(), static_cast<std::streamsize>(bytes))) {
    fail_input("{}: cannot be read", path.string());
  }
  if (data.starts_with("version https://git-lfs")) {
    fail_input("{}: it is a Git LFS pointer; run `git lfs pull` in the model folder",
               path.string());
  }
  return data;
}

}  // namespace

struct Tokenizer::Impl {
  sentencepiece::SentencePieceProcessor processor;
};

Tokenizer::Tokenizer(const fs::path& folder) : impl_(std::make_unique<Impl>()) {
  const fs::path path = find_model(folder);
  const std::string model = read_model(path);
  std::string problem = sentencepiece_problem(model);
  if (problem.empty()) {
    try {
      const auto status = impl_->processor.LoadFromSerializedProto(model);
      if (!status.ok()) problem = status.ToString();
    } catch (const std::exception& e) {  // of the library's trie: pieces that it cannot hold
      problem = e.what();
    }
  }
  if (!problem.empty()) {
    fail_input("{}: not a sentencepiece model ({}); download it again", path.string(), problem);
  }
  if (impl_->processor.eos_id() < 0) {
    fail_input("{}: the model has no end-of-sequence piece, which text encoders need",
               path.string());
  }
}

Tokenizer::~Tokenizer() = default;

std::vector<std::int32_t> Tokenizer::encode(const std::string& cleaned, int max_length,
                                            int* truncated) const {
  WEFT_ASSERT(max_length >= 1, "at most {} tokens", max_length);
  std::vector<int> ids;
  if (const auto status = impl_->processor.Encode(cleaned, &ids); !status.ok()) {
    fail("tokenizing failed: {}", status.ToString());
  }
  const std::size_t kept = std::min(ids.size(), static_cast<std::size_t>(max_length) - 1);
  if (truncated != nullptr) *truncated = static_cast<int>(ids.size() - kept);
  ids.resize(kept);
  ids.push_back(impl_->processor.eos_id());
  return {ids.begin(), ids.end()};
}

int Tokenizer::vocabulary_size() const { return impl_->processor.GetPieceSize(); }

}  // namespace weft
