#pragma once
// The options of `weft bench-net`.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "weft/base/error.h"

namespace CLI {
class App;
}

namespace weft {

struct BenchNetArguments {
  std::filesystem::path output;  // "": only the table
  std::string sizes;             // "": default_sizes()
  int repeats = 9, warm_up = 2;
  std::string device = "auto";
  std::string forward_speed;  // FLOP/s; "": not known
  bool oversubscribe = false, dry_run = false;
};

/// `values` must outlive the parsing.
void add_bench_net_options(CLI::App& command, BenchNetArguments& values);
void check_bench_net_arguments(const BenchNetArguments& values, Problems& problems);

/// For ranks on GPUs, or on CPUs, where the largest would take minutes and show nothing new.
const char* default_sizes(bool gpu);
/// "64k,1M" to {65536, 1048576}, ascending, each once; k, M, G are powers of 1024. InputError: what
/// is wrong with the text.
std::vector<std::int64_t> parse_sizes(const std::string& text);
/// "6.5e14" to a number; nothing for "". InputError for anything else than a positive number.
std::optional<double> parse_forward_speed(const std::string& text);

}  // namespace weft
