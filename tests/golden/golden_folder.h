#pragma once
// A golden folder: a small Wan model with the job and the results the reference computed from it.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "weft/io/safetensors.h"

namespace weft::test {
namespace fs = std::filesystem;

/// Folders to run: below $WEFT_GOLDEN_DIR (or that folder itself), else below tests/golden.
inline std::vector<fs::path> golden_folders() {
  fs::path root = fs::path(WEFT_TEST_DATA) / "golden";
  if (const char* named = std::getenv("WEFT_GOLDEN_DIR"); named != nullptr && *named != '\0') {
    root = named;
    // ctest runs programs in the build folder; a relative path means the caller's folder.
    if (const char* caller = std::getenv("PWD");
        root.is_relative() && !fs::exists(root) && caller) {
      root = fs::path(caller) / root;
    }
  }
  std::vector<fs::path> found;
  if (fs::exists(root / "golden.json")) return {root};
  if (fs::is_directory(root)) {
    for (const auto& entry : fs::directory_iterator(root)) {
      if (fs::exists(entry.path() / "golden.json")) found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

struct Golden {
  fs::path path;
  nlohmann::json job;
  SafetensorsFile file;

  explicit Golden(const fs::path& folder)
      : path(folder),
        job(nlohmann::json::parse(std::ifstream(folder / "golden.json"))),
        file(folder / "golden.safetensors") {}

  [[nodiscard]] bool has(const std::string& name) const { return file.tensors().contains(name); }
  /// A float32 result as stored, leading batch dimension of 1 dropped.
  [[nodiscard]] Tensor tensor(const std::string& name) const {
    const StoredTensor& stored = file.tensors().at(name);
    Tensor t = Tensor::empty(stored.shape);
    convert_to_f32(stored, t.data<float>());
    if (stored.shape.rank() > 1 && stored.shape[0] == 1) {
      return t.reshape(Shape(stored.shape.dims().subspan(1)));
    }
    return t;
  }
};

}  // namespace weft::test
