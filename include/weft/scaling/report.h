#pragma once
// Records of runs to a report: figures, tables, and a page of them.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "weft/run/run_record.h"
#include "weft/scaling/figure.h"
#include "weft/scaling/series.h"

namespace weft {

struct FoundRecords {
  std::vector<RunRecord> records;     // in the order of the paths, within a folder by name
  std::vector<std::string> warnings;  // damaged records among good ones
};

/// Reads records, and those that folders hold at any depth (*.record.h5), each file once.
/// InputError with every problem: a path that is no record or does not exist, a folder without a
/// record or without one that can be read. A damaged record in a folder that has good ones too is a
/// warning.
FoundRecords find_records(const std::vector<std::filesystem::path>& paths);

struct ReportOptions {
  Weak weak = Weak::none;           // how the clips grew with the ranks
  std::optional<double> bandwidth;  // bytes per second and rank, for the law of exchange
};

/// Of at least one record. Fits what can be fitted; reads frames from the clips beside the records.
Report make_report(const FoundRecords& found, const ReportOptions& options = {});

/// DIR/ID.svg for every figure, DIR/ID.csv for every table; the folder is made. What was written.
std::vector<std::filesystem::path> write_figures(const std::filesystem::path& folder,
                                                 const Report& report);
std::vector<std::filesystem::path> write_tables(const std::filesystem::path& folder,
                                                const Report& report);

}  // namespace weft
