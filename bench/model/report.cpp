#include "report.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "weft/io/atomic_file.h"

namespace weft::bench {
namespace {

/// The processor's name as the kernel reports it, or "unknown" where there is no such file.
std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

/// Version of NVIDIA's driver, or "none": the first word of its line that begins with a number.
std::string driver() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word.find('.') != std::string::npos &&
        word.find_first_not_of("0123456789.") == std::string::npos) {
      return word;
    }
  }
  return "none";
}

std::string date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

/// Lines appear as they come, also in a pipe: a run takes minutes.
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print(format, std::forward<Args>(args)...);
  std::fflush(stdout);
}

/// One line of a profile's table. The names are padded to `width`: the table is long, and read as
/// it is.
void say_operation(const OpProfile& p, double whole, std::size_t width) {
  const std::string rate =
      p.flops > 0 ? fmt::format("{:.4g}", p.flops / p.seconds / 1e12) : std::string();
  say("| {:<{}} | {:>5} | {:>9.3f} | {:>9.1f} | {:>7} | {:>7.1f} | {:>5.1f} |\n", p.name, width,
      p.calls, p.seconds * 1e3, p.seconds * 1e6 / static_cast<double>(p.calls), rate,
      p.bytes / p.seconds / 1e9, 100 * p.seconds / whole);
}

nlohmann::ordered_json json_of(const OpProfile& p, double whole) {
  return {{"operation", p.name},     {"calls", p.calls},    {"seconds", p.seconds},
          {"tflop", p.flops / 1e12}, {"gb", p.bytes / 1e9}, {"percent", 100 * p.seconds / whole}};
}

}  // namespace

Report::Report(const std::string& command) {
  json_["context"] = {{"date", date()},
                      {"processor", processor()},
                      {"cores", std::thread::hardware_concurrency()},
                      {"driver", driver()},
                      {"version", WEFT_VERSION},
                      {"command", command}};
}

void Report::begin(const std::string& precision, const std::string& device) {
  json_["devices"].push_back({{"precision", precision}, {"device", device}});
  say("{}\n", device);
}

void Report::add(const std::string& precision, const Ceiling& ceiling) {
  json_["ceilings"].push_back({{"precision", precision},
                               {"matmul", ceiling.size},
                               {"tflops_per_second", ceiling.flops_per_second / 1e12}});
  say("ceiling of {}: {:.4g} TFLOP/s (matmul {}^3)\n", precision, ceiling.flops_per_second / 1e12,
      ceiling.size);
}

void Report::add(const Row& row) {
  json_["rows"].push_back({{"model", row.model},
                           {"stage", row.stage},
                           {"size", row.size},
                           {"precision", row.precision},
                           {"seconds", row.timing.median},
                           {"least_seconds", row.timing.least},
                           {"tflop", row.flops / 1e12},
                           {"tflops_per_second", row.rate() / 1e12},
                           {"percent_of_ceiling", row.percent()},
                           {"peak_gb", static_cast<double>(row.peak_bytes) / 1e9}});
  if (!head_printed_) {
    say("| model | stage | size | precision | s, median | s, least | TFLOP | TFLOP/s | % of "
        "ceiling "
        "| peak GB |\n|---|---|---|---|---|---|---|---|---|---|\n");
    head_printed_ = true;
  }
  say("| {} | {} | {} | {} | {:.4g} | {:.4g} | {:.4g} | {:.4g} | {:.1f} | {:.2f} |\n", row.model,
      row.stage, row.size, row.precision, row.timing.median, row.timing.least, row.flops / 1e12,
      row.rate() / 1e12, row.percent(), static_cast<double>(row.peak_bytes) / 1e9);
}

void Report::add(const Row& row, const StageProfile& profile) {
  const OpProfile sum = profile.sum();
  const double whole = row.timing.median;
  nlohmann::ordered_json operations = nlohmann::ordered_json::array();
  std::size_t width = 0;
  for (const OpProfile& p : profile.operations) {
    operations.push_back(json_of(p, whole));
    width = std::max(width, p.name.size());
  }
  json_["profiles"].push_back({{"model", row.model},
                               {"stage", row.stage},
                               {"size", row.size},
                               {"precision", row.precision},
                               {"unprofiled_seconds", whole},
                               {"summed_seconds", sum.seconds},
                               {"call_floor_seconds", profile.call_floor},
                               {"operations", operations}});
  say("\n{} {}, {}, {}: each call alone; one of 8 elements takes {:.1f} us\n", row.model, row.stage,
      row.size, row.precision, profile.call_floor * 1e6);
  say("| {:<{}} | calls |    ms all |   us each | TFLOP/s |    GB/s |     % |\n"
      "|:{:-<{}}-|------:|----------:|----------:|--------:|--------:|------:|\n",
      "operation", width, "", width);
  for (const OpProfile& p : profile.operations) say_operation(p, whole, width);
  say_operation(sum, whole, width);
  say("unprofiled: {:.3f} ms, {:+.3f} ms ({:+.1f} %) against the sum\n\n", whole * 1e3,
      (whole - sum.seconds) * 1e3, 100 * (whole - sum.seconds) / whole);
  head_printed_ = false;
}

void Report::add(const std::string& precision, const CheckResult& result) {
  json_["checks"].push_back({{"component", result.component},
                             {"size", result.size},
                             {"precision", precision},
                             {"error", result.ours},
                             {"error_of_diffusers_bf16", result.peer},
                             {"passed", result.passed()}});
  if (!head_printed_) {
    say("| component | result | precision | error | error of diffusers, bf16 | verdict |\n"
        "|---|---|---|---|---|---|\n");
    head_printed_ = true;
  }
  say("| {} | {} | {} | {:.3e} | {:.3e} | {} |\n", result.component, result.size, precision,
      result.ours, result.peer, result.passed() ? "good" : "TOO FAR OFF");
}

void Report::write(const std::filesystem::path& path) const {
  AtomicPath whole(path);
  {
    std::ofstream file(whole.temporary());
    file << json_.dump(1) << '\n';
    if (!file.flush()) fail("{}: cannot be written", path.string());
  }
  whole.commit();
}

}  // namespace weft::bench
