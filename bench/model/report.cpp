#include "report.h"

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
