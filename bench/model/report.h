#pragma once
// Rows for people (a Markdown table, line by line as they come) and for files.

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "check.h"
#include "measure.h"
#include "profiled_ops.h"

namespace weft::bench {

struct Row {
  std::string model, stage, size, precision;
  Timing timing;
  double flops = 0;    // of one run
  double ceiling = 0;  // FLOP/s
  std::size_t peak_bytes = 0;
  [[nodiscard]] double rate() const { return flops / timing.median; }
  [[nodiscard]] double percent() const { return 100 * rate() / ceiling; }
};

/// Everything that one call of the program finds out: printed as it comes, kept for the file.
class Report {
 public:
  /// `command`: as typed.
  explicit Report(const std::string& command);
  void begin(const std::string& precision, const std::string& device);
  void add(const std::string& precision, const Ceiling& ceiling);
  void add(const Row& row);
  /// `row`: of the same work without profiling.
  void add(const Row& row, const StageProfile& profile);
  void add(const std::string& precision, const CheckResult& result);
  /// Machine, driver, date, command and all that was added.
  void write(const std::filesystem::path& path) const;

 private:
  nlohmann::ordered_json json_;
  bool head_printed_ = false;
};

}  // namespace weft::bench
