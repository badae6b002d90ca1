// Every record in a line, and what each was made with.
#include <algorithm>

#include "sections.h"

namespace weft {
namespace {

double highest_memory(const RunRecord& run) {
  double most = 0;
  for (const RankReport& r : run.ranks) most = std::max(most, r.peak_memory);
  return most;
}

struct JobColumn {
  const char* name;
  Cell (*cell)(const RunRecord& run);
  bool told_above = false;  // in the header: left out where all records agree
};

const std::vector<JobColumn>& job_columns() {
  using R = const RunRecord&;
  static const std::vector<JobColumn> columns{
      {"record", [](R r) -> Cell { return record_name(r); }},
      {"prompt", [](R r) -> Cell { return r.config_value("prompt"); }, true},
      {"seed", [](R r) -> Cell { return r.config_value("seed"); }, true},
      {"size", [](R r) -> Cell { return fmt::format("{} × {}", r.width, r.height); }, true},
      {"frames", [](R r) -> Cell { return r.frames; }, true},
      {"steps", [](R r) -> Cell { return r.steps; }, true},
      {"guidance",
       [](R r) -> Cell {
         return {r.guidance_scale, 3};
       },
       true},
      {"ranks", [](R r) -> Cell { return static_cast<std::int64_t>(r.ranks.size()); }},
      {"wall s", [](R r) -> Cell { return Cell::seconds(r.wall_seconds()); }},
      {"without loading s", [](R r) -> Cell { return Cell::seconds(r.busy_seconds()); }},
      {"denoise s", [](R r) -> Cell { return Cell::seconds(r.stage_seconds(Stage::denoise)); }},
      {"decode s", [](R r) -> Cell { return Cell::seconds(r.stage_seconds(Stage::decode)); }},
      {"memory GB",
       [](R r) -> Cell {
         return {highest_memory(r) / 1e9, 3};
       }},
      {"seam figure",
       [](R r) -> Cell {
         return {r.seams.worst(), 4};
       }},
      {"warping error",
       [](R r) -> Cell {
         return {r.warping_error, 4};
       }},
      {"energy J",
       [](R r) -> Cell {
         return {r.energy_joules(), 4};
       }},
      {"cost",
       [](R r) -> Cell {
         return {r.cost(), 4};
       }},
      {"cost of a finished second",
       [](R r) -> Cell {
         return {r.cost_per_second(), 4};
       }},
      {"retries", [](R r) -> Cell { return r.retries > 0 ? Cell(r.retries) : Cell(); }},
      {"resumed steps",
       [](R r) -> Cell { return r.resumed_steps > 0 ? Cell(r.resumed_steps) : Cell(); }},
  };
  return columns;
}

}  // namespace

Section jobs_section(const std::vector<RunRecord>& records) {
  Section section{"jobs", records.size() == 1 ? "Job" : "Jobs", {}};
  Table table{
      "jobs", fmt::format("{} record{}", records.size(), records.size() == 1 ? "" : "s"), {}, {}};
  table.rows.resize(records.size());
  for (const JobColumn& column : job_columns()) {
    std::vector<Cell> cells;
    for (const RunRecord& r : records) cells.push_back(column.cell(r));
    const bool all_equal =
        std::ranges::all_of(cells, [&](const Cell& c) { return c.value == cells.front().value; });
    if (column.told_above && all_equal) continue;
    table.columns.emplace_back(column.name);
    for (std::size_t i = 0; i < cells.size(); ++i) table.rows[i].push_back(cells[i]);
  }
  section.blocks.emplace_back(without_empty_columns(table));
  return section;
}

Section provenance_section(const std::vector<RunRecord>& records) {
  Section section{"provenance", "Provenance", {}};
  Table runs{"provenance",
             "Records",
             {"record", "written", "weft", "command", "Slurm job", "hosts", "device", "grid"},
             {}};
  for (const RunRecord& r : records) {
    std::vector<std::string> hosts;
    std::vector<std::string> devices;
    const auto add = [](std::vector<std::string>& to, const std::string& name) {
      if (!name.empty() && std::ranges::find(to, name) == to.end()) to.push_back(name);
    };
    for (const RankReport& rank : r.ranks) {
      add(hosts, rank.host);
      add(devices, rank.device);
    }
    runs.rows.push_back({record_name(r), r.written, r.weft_version, r.command, r.slurm_job,
                         fmt::format("{}", fmt::join(hosts, ", ")),
                         fmt::format("{}", fmt::join(devices, ", ")), r.grid.str()});
  }
  section.blocks.emplace_back(without_empty_columns(runs));
  Table files{"model-files", "Model files", {"model", "file", "bytes", "hash"}, {}};
  std::vector<std::string> seen;
  for (const RunRecord& r : records) {
    const std::string key = r.model + "\n" + r.model_fingerprint;
    if (std::ranges::find(seen, key) != seen.end()) continue;
    seen.push_back(key);
    for (const ModelFile& f : r.model_files) {
      files.rows.push_back({r.model, f.name, f.bytes, f.hash});
    }
  }
  if (!files.rows.empty()) section.blocks.emplace_back(without_empty_columns(files));
  return section;
}

}  // namespace weft
