#pragma once
// A golden folder: a small Wan model with the job and the results the reference computed from it.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "weft/io/safetensors.h"

namespace weft::test {
namespace fs = std::filesystem;

/// Where to look: $WEFT_GOLDEN_DIR, else tests/golden.
inline fs::path golden_root() {
  const char* named = std::getenv("WEFT_GOLDEN_DIR");
  if (named == nullptr || *named == '\0') return fs::path(WEFT_TEST_DATA) / "golden";
  // ctest runs programs in a folder of the build tree. A relative path means the caller's folder,
  // which the shell leaves in $PWD; a caller that is no shell has started ctest in the build
  // folder.
  const char* caller = std::getenv("PWD");
  const fs::path here = fs::current_path();
  for (const fs::path& start : {fs::path(caller == nullptr ? "" : caller), here.parent_path()}) {
    if (fs::exists(start / named)) return start / named;  // an absolute path stays what it is
  }
  return here / named;
}

/// Folders to run: the root itself, or those right below it.
inline std::vector<fs::path> golden_folders() {
  const fs::path root = golden_root();
  if (fs::exists(root / "golden.json")) return {root};
  std::vector<fs::path> found;
  if (fs::is_directory(root)) {
    for (const auto& entry : fs::directory_iterator(root)) {
      if (fs::exists(entry.path() / "golden.json")) found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

struct Golden {
  nlohmann::json job;
  fs::path path;  ///< of the model: the folder itself, or what the key "model" names from there
  SafetensorsFile file;

  explicit Golden(const fs::path& folder)
      : job(nlohmann::json::parse(std::ifstream(folder / "golden.json"))),
        path(folder / job.value("model", ".")),
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
