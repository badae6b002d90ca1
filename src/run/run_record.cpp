// A run record to its file, and the figures that follow from one.
#include "weft/run/run_record.h"

#include <algorithm>
#include <limits>
#include <map>

#include "weft/base/log.h"
#include "weft/io/hdf5_file.h"

namespace weft {
namespace {

constexpr std::int64_t schema = 2;
constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

std::int64_t count(const auto& list) { return std::ssize(list); }

/// Boxes as rows of begin, end per axis: [n, 6].
void write_boxes(Hdf5Writer& file, const char* where, const std::vector<Box>& boxes) {
  std::vector<std::int64_t> rows;
  for (const Box& box : boxes) {
    for (const Range& r : box.axis) rows.insert(rows.end(), {r.begin, r.end});
  }
  file.dataset(where, rows, {count(boxes), 6});
}

void write_indices(Hdf5Writer& file, const char* where, const std::vector<int>& values) {
  file.dataset(where, std::vector<std::int64_t>(values.begin(), values.end()), {count(values)});
}

void write_config(Hdf5Writer& file, const RunRecord& r) {
  for (const auto& [key, value] : r.config) file.attribute("/config", key, value);
  const std::string resolved = "/config/resolved";
  file.attribute(resolved, "width", r.width);
  file.attribute(resolved, "height", r.height);
  file.attribute(resolved, "frames", r.frames);
  file.attribute(resolved, "steps", r.steps);
  file.attribute(resolved, "fps", r.fps);
  file.attribute(resolved, "guidance-scale", r.guidance_scale);
  file.attribute(resolved, "guidance-scale-2", r.guidance_scale_2);
  file.attribute(resolved, "flow-shift", r.flow_shift);
}

void write_model(Hdf5Writer& file, const RunRecord& r) {
  file.attribute("/model", "name", r.model);
  file.attribute("/model", "path", r.model_path);
  file.attribute("/model", "fingerprint", r.model_fingerprint);
  file.attribute("/model", "layers", r.layers);
  file.attribute("/model", "dim", r.dim);
  std::vector<std::string> names, hashes;
  std::vector<std::int64_t> sizes;
  for (const ModelFile& f : r.model_files) {
    names.push_back(f.name);
    sizes.push_back(f.bytes);
    hashes.push_back(f.hash);
  }
  file.dataset("/model/files/name", names);
  file.dataset("/model/files/bytes", sizes, {count(sizes)});
  file.dataset("/model/files/hash", hashes);
}

void write_plan(Hdf5Writer& file, const RunRecord& r) {
  file.attribute("/plan", "device", r.device);
  file.attribute("/plan", "precision", r.precision);
  file.attribute("/plan", "groups", std::int64_t{r.grid.groups});
  file.attribute("/plan", "cfg", std::int64_t{r.grid.cfg});
  file.attribute("/plan", "ulysses", std::int64_t{r.grid.ulysses});
  file.attribute("/plan", "ring", std::int64_t{r.grid.ring});
  file.attribute("/plan", "predicted_seconds", r.predicted_seconds);
  file.attribute("/plan", "predicted_speedup", r.predicted_speedup);
  write_boxes(file, "/plan/windows", r.windows);
  write_indices(file, "/plan/owner", r.owner);
  write_boxes(file, "/plan/pieces", r.pieces);
  write_indices(file, "/plan/piece_owner", r.piece_owner);
  file.dataset("/plan/flops", r.flops, {stage_count});
}

void write_ranks(Hdf5Writer& file, const std::vector<RankReport>& ranks) {
  std::vector<std::string> hosts, devices;
  std::vector<double> wall, memory, energy;
  std::vector<std::int64_t> threads, sent;
  for (const RankReport& r : ranks) {
    hosts.push_back(r.host);
    devices.push_back(r.device);
    threads.push_back(r.threads);
    wall.push_back(r.wall_seconds);
    memory.push_back(r.peak_memory);
    sent.push_back(r.bytes_sent);
    energy.push_back(r.energy_joules.value_or(not_measured));
  }
  const std::int64_t n = count(ranks);
  file.dataset("/ranks/host", hosts);
  file.dataset("/ranks/device", devices);
  file.dataset("/ranks/threads", threads, {n});
  file.dataset("/ranks/wall_seconds", wall, {n});
  file.dataset("/ranks/peak_memory", memory, {n});
  file.dataset("/ranks/bytes_sent", sent, {n});
  file.dataset("/ranks/energy_joules", energy, {n});
}

void write_stages(Hdf5Writer& file, const std::vector<RankReport>& ranks) {
  std::vector<std::string> names;
  std::vector<double> seconds, flops;
  std::vector<std::int64_t> bytes, device_peaks;
  for (int s = 0; s < stage_count; ++s) names.emplace_back(stage_name(static_cast<Stage>(s)));
  for (const RankReport& r : ranks) {
    std::array<std::int64_t, stage_count> moved{};
    std::array<double, stage_count> operations{};
    std::vector<double> rows;
    for (const Span& span : r.spans) {
      moved[static_cast<std::size_t>(span.stage)] += span.bytes;
      operations[static_cast<std::size_t>(span.stage)] += span.flops;
      rows.insert(rows.end(),
                  {static_cast<double>(span.stage), span.begin, span.end,
                   static_cast<double>(span.bytes), static_cast<double>(span.step), span.flops});
    }
    file.dataset(fmt::format("/spans/{}", r.rank), rows, {count(r.spans), 6});
    const auto exclusive = exclusive_seconds(r.spans);
    seconds.insert(seconds.end(), exclusive.begin(), exclusive.end());
    bytes.insert(bytes.end(), moved.begin(), moved.end());
    flops.insert(flops.end(), operations.begin(), operations.end());
    device_peaks.insert(device_peaks.end(), r.device_peaks.begin(), r.device_peaks.end());
  }
  const Shape shape{count(ranks), stage_count};
  file.dataset("/stages/names", names);
  file.dataset("/stages/seconds", seconds, shape);
  file.dataset("/stages/bytes", bytes, shape);
  file.dataset("/stages/flops", flops, shape);
  file.dataset("/stages/device_peak_bytes", device_peaks, shape);
}

void write_result(Hdf5Writer& file, const RunRecord& r) {
  file.attribute("/result", "frames", r.frames_made);
  file.attribute("/result", "encoder_seconds", r.encoder_seconds);
  file.attribute("/result", "retries", r.retries);
  file.attribute("/result", "resumed_steps", r.resumed_steps);
  const auto if_there = [&](const char* name, const std::optional<double>& value) {
    if (value) file.attribute("/result", name, *value);
  };
  if_there("seam_frames", r.seams.frames);
  if_there("seam_rows", r.seams.rows);
  if_there("seam_columns", r.seams.cols);
  if_there("warping_error", r.warping_error);
  if_there("price_per_gpu_hour", r.price_per_gpu_hour);
}

}  // namespace

void write_run_record(const std::filesystem::path& path, const RunRecord& record) {
  Hdf5Writer file(path);
  file.attribute("/", "schema", schema);
  file.attribute("/", "weft_version", record.weft_version);
  file.attribute("/", "written", record.written.empty() ? utc_now() : record.written);
  file.attribute("/", "command", record.command);
  file.attribute("/", "slurm_job", record.slurm_job);
  file.dataset("/versions", record.versions);
  write_config(file, record);
  write_model(file, record);
  write_plan(file, record);
  write_ranks(file, record.ranks);
  write_stages(file, record.ranks);
  write_result(file, record);
  file.commit();
}

std::string RunRecord::config_value(const std::string& key) const {
  const auto at = std::ranges::find(config, key, [](const auto& entry) { return entry.first; });
  return at == config.end() ? "" : at->second;
}

double RunRecord::wall_seconds() const {
  double most = 0;
  for (const RankReport& r : ranks) most = std::max(most, r.wall_seconds);
  return most;
}

double RunRecord::busy_seconds() const {
  double most = 0;
  for (const RankReport& r : ranks) {
    const double load = exclusive_seconds(r.spans)[static_cast<std::size_t>(Stage::load)];
    most = std::max(most, r.wall_seconds - load);
  }
  return most;
}

double RunRecord::stage_seconds(Stage stage) const {
  double most = 0;
  for (const RankReport& r : ranks) {
    most = std::max(most, exclusive_seconds(r.spans)[static_cast<std::size_t>(stage)]);
  }
  return most;
}

std::vector<double> RunRecord::step_seconds() const {
  std::map<int, double> longest;
  for (const RankReport& r : ranks) {
    for (const Span& span : r.spans) {
      if (span.stage != Stage::denoise || span.step < 0) continue;
      double& most = longest[span.step];
      most = std::max(most, span.end - span.begin);
    }
  }
  std::vector<double> seconds;
  for (const auto& [step, most] : longest) seconds.push_back(most);
  return seconds;
}

std::optional<double> RunRecord::energy_joules() const {
  double sum = 0;
  for (const RankReport& r : ranks) {
    if (!r.energy_joules) return std::nullopt;
    sum += *r.energy_joules;
  }
  return sum;
}

double RunRecord::held_seconds() const {
  if (command != "batch") return wall_seconds();
  double last = 0;
  for (const RankReport& r : ranks) {
    for (const Span& span : r.spans) {
      if (span.stage != Stage::encode_video) last = std::max(last, span.end);
    }
  }
  return last;
}

std::optional<double> RunRecord::cost() const {
  if (!price_per_gpu_hour) return std::nullopt;
  return *price_per_gpu_hour * static_cast<double>(ranks.size()) * held_seconds() / 3600;
}

std::optional<double> RunRecord::cost_per_second() const {
  const auto all = cost();
  if (!all || frames_made == 0 || fps <= 0) return std::nullopt;
  return *all / (static_cast<double>(frames_made) / fps);
}

std::string cost_text(const RunRecord& record) {
  std::string text;
  if (const auto joules = record.energy_joules()) {
    const auto gpus = std::ranges::count_if(
        record.ranks, [](const RankReport& r) { return r.energy_joules.value_or(0) > 0; });
    text += fmt::format("energy        {:.4g} kJ ({:.4g} Wh) of {} GPU{}, to the last frame\n",
                        *joules / 1000, *joules / 3600, gpus, gpus == 1 ? "" : "s");
  }
  const auto cost = record.cost();
  if (!cost) return text;
  const auto each = record.cost_per_second();
  text += fmt::format("cost          {:.4g}{} ({:g} an hour x {} {}{} x {:.2f} s)\n", *cost,
                      each ? fmt::format(", {:.4g} per finished second", *each) : "",
                      *record.price_per_gpu_hour, record.ranks.size(),
                      record.device == "cuda" ? "GPU" : "rank", record.ranks.size() == 1 ? "" : "s",
                      record.held_seconds());
  return text;
}

}  // namespace weft
