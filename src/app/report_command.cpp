#include "report_command.h"

#include <cstdio>

#include "weft/io/atomic_file.h"
#include "weft/scaling/report.h"
#include "weft/scaling/trace.h"

namespace weft {
namespace {

ReportOptions options_of(const ReportArguments& arguments) {
  ReportOptions options;
  if (arguments.weak == "frames") options.weak = Weak::frames;
  if (arguments.weak == "width") options.weak = Weak::width;
  if (arguments.bandwidth > 0) options.bandwidth = arguments.bandwidth * 1e9;
  return options;
}

void write_all(const ReportArguments& arguments, const FoundRecords& found) {
  if (!arguments.trace.empty()) {
    write_text_file(arguments.trace, trace_json(found.records));
    std::puts(fmt::format("trace   {}", arguments.trace.string()).c_str());
  }
  if (arguments.page.empty() && arguments.svg.empty() && arguments.csv.empty()) return;
  const Report report = make_report(found, options_of(arguments));
  if (!arguments.svg.empty()) {
    const auto written = write_figures(arguments.svg, report);
    std::puts(fmt::format("figures {} in {}", written.size(), arguments.svg.string()).c_str());
  }
  if (!arguments.csv.empty()) {
    const auto written = write_tables(arguments.csv, report);
    std::puts(fmt::format("tables  {} in {}", written.size(), arguments.csv.string()).c_str());
  }
  if (!arguments.page.empty()) {
    write_text_file(arguments.page, html_page(report));
    std::puts(fmt::format("report  {}", arguments.page.string()).c_str());
  }
}

}  // namespace

void report_command(const ReportArguments& arguments, const Problems& found) {
  Problems problems = found;
  FoundRecords records;
  problems.collect([&] { records = find_records(arguments.records); });
  problems.throw_if_any();
  for (const std::string& warning : records.warnings) {
    std::fputs(fmt::format("weft: warning: {}\n", warning).c_str(), stderr);
  }
  write_all(arguments, records);
}

}  // namespace weft
