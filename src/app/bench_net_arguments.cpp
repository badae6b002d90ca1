#include "bench_net_arguments.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include <CLI/CLI.hpp>

namespace weft {
namespace {

constexpr std::int64_t largest_size = std::int64_t{1} << 40;

std::int64_t parse_size_text(const std::string& text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  std::int64_t unit = 1;
  bool known = stopped == end;
  if (end - stopped == 1) {
    for (const char letter : {'k', 'M', 'G'}) {
      unit *= 1024;
      known = *stopped == letter;
      if (known) break;
    }
  }
  if (error != std::errc{} || !known || value < 1 || value > largest_size / unit) {
    fail_input("sizes: \"{}\" is not a number of bytes such as 4096, 64k, 16M or 1G", text);
  }
  return value * unit;
}

}  // namespace

void add_bench_net_options(CLI::App& command, BenchNetArguments& values) {
  const char* group = "Measuring";
  const auto option = [&](const char* flags, auto& value, const char* help, const char* kind) {
    command.add_option(flags, value, help)->group(group)->type_name(kind)->take_last();
  };
  option("--sizes", values.sizes,
         "bytes, with k, M, G (default 64k,256k,1M,4M,16M,64M, on GPUs also 256M,512M, as far as "
         "memory "
         "goes)",
         "N,N,...");
  option("--repeats", values.repeats, "of which the median counts, 1 ... 1000 (default 9)", "INT");
  option("--warm-up", values.warm_up, "repeats before those that count, 0 ... 1000 (default 2)",
         "INT");
  option("-o,--output", values.output, "file for plans to read (--network), .json", "FILE");
  option("--forward-speed", values.forward_speed,
         "FLOP/s per rank in a forward, as weft-bench-model measures it: kept in the file, so that "
         "plans need not assume it",
         "FLOAT");
  group = "Machine";
  option("--device", values.device, "where the tensors are (default auto: cuda if there is one)",
         "auto|cpu|cuda");
  command.add_flag("--oversubscribe", values.oversubscribe, "several ranks may share a GPU")
      ->group(group);
  command
      .add_flag("--dry-run", values.dry_run, "check, and say what would be measured; write nothing")
      ->group("Measuring");
}

void check_bench_net_arguments(const BenchNetArguments& values, Problems& problems) {
  if (!values.sizes.empty()) {
    problems.collect([&] { static_cast<void>(parse_sizes(values.sizes)); });
  }
  problems.collect([&] { static_cast<void>(parse_forward_speed(values.forward_speed)); });
  const auto in_range = [&](const char* flag, int value, int least) {
    constexpr int most = 1000;
    if (value < least || value > most) {
      problems.add("{}: {}: expected {} to {}", flag, value, least, most);
    }
  };
  in_range("repeats", values.repeats, 1);
  in_range("warm-up", values.warm_up, 0);
  if (values.device != "auto" && values.device != "cpu" && values.device != "cuda") {
    problems.add("device: \"{}\" is not one of auto, cpu, cuda", values.device);
  }
  if (!values.output.empty() && values.output.extension() != ".json") {
    problems.add("output: {}: expected a name that ends in .json", values.output.string());
  }
}

const char* default_sizes(bool gpu) {
  return gpu ? "64k,256k,1M,4M,16M,64M,256M,512M" : "64k,256k,1M,4M,16M,64M";
}

std::vector<std::int64_t> parse_sizes(const std::string& text) {
  std::vector<std::int64_t> sizes;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) sizes.push_back(parse_size_text(part));
  if (sizes.empty()) fail_input("sizes: name at least one, such as 64k,1M,16M");
  std::ranges::sort(sizes);
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

std::optional<double> parse_forward_speed(const std::string& text) {
  if (text.empty()) return std::nullopt;
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end || !std::isfinite(value) || value < 1) {
    fail_input("forward-speed: \"{}\" is not a positive number of FLOP/s such as 6.5e14", text);
  }
  return value;
}

}  // namespace weft
