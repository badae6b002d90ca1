#pragma once
// The options of `weft compare`.

#include <cstdint>
#include <filesystem>
#include <optional>

#include "weft/base/error.h"

namespace CLI {
class App;
}

namespace weft {

struct CompareArguments {
  std::filesystem::path a, b;
  std::optional<std::int64_t> frames;  // of the beginning; all when not given
  std::optional<double> min_psnr;      // dB
  std::filesystem::path json, csv;     // "": none
};

/// `values` must outlive the parsing.
void add_compare_options(CLI::App& command, CompareArguments& values);
void check_compare_arguments(const CompareArguments& values, Problems& problems);

}  // namespace weft
