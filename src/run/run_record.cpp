#include "weft/run/run_record.h"

#include <ctime>

#include "weft/io/hdf5_file.h"

namespace weft {
namespace {

/// Boxes as rows of begin, end per axis: [n, 6].
std::vector<std::int64_t> rows_of(const std::vector<Box>& boxes) {
  std::vector<std::int64_t> rows;
  for (const Box& box : boxes) {
    for (const Range& r : box.axis) rows.insert(rows.end(), {r.begin, r.end});
  }
  return rows;
}

std::string time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

void write_plan(Hdf5Writer& file, const RenderPlan& plan) {
  std::vector<Box> windows;
  for (const auto& w : plan.windows.windows) windows.push_back(w.box);
  const auto count = [](const auto& v) { return static_cast<std::int64_t>(v.size()); };
  const auto wide = [](const std::vector<int>& v) {
    return std::vector<std::int64_t>(v.begin(), v.end());
  };
  file.dataset("/plan/windows", rows_of(windows), {count(windows), 6});
  file.dataset("/plan/owner", wide(plan.owner), {count(plan.owner)});
  file.dataset("/plan/pieces", rows_of(plan.pieces), {count(plan.pieces), 6});
  file.dataset("/plan/piece_owner", wide(plan.piece_owner), {count(plan.piece_owner)});
}

void write_ranks(Hdf5Writer& file, const std::vector<RankReport>& ranks) {
  std::vector<std::string> hosts, stages;
  std::vector<double> wall, memory, seconds;
  std::vector<std::int64_t> threads, sent, bytes, device_peaks;
  const auto n = static_cast<std::int64_t>(ranks.size());
  for (int s = 0; s < stage_count; ++s) stages.emplace_back(stage_name(static_cast<Stage>(s)));
  for (const RankReport& r : ranks) {
    hosts.push_back(r.host);
    threads.push_back(r.threads);
    wall.push_back(r.wall_seconds);
    memory.push_back(r.peak_memory);
    sent.push_back(r.bytes_sent);
    Profile profile;
    std::vector<double> spans;
    for (const Span& span : r.spans) {
      profile.add(span);
      spans.insert(spans.end(), {static_cast<double>(span.stage), span.begin, span.end,
                                 static_cast<double>(span.bytes)});
    }
    for (const double s : profile.seconds()) seconds.push_back(s);
    for (const std::int64_t b : profile.bytes()) bytes.push_back(b);
    device_peaks.insert(device_peaks.end(), r.device_peaks.begin(), r.device_peaks.end());
    file.dataset(fmt::format("/spans/{}", r.rank), spans,
                 {static_cast<std::int64_t>(r.spans.size()), 4});
  }
  file.dataset("/ranks/host", hosts);
  file.dataset("/ranks/threads", threads, {n});
  file.dataset("/ranks/wall_seconds", wall, {n});
  file.dataset("/ranks/peak_memory", memory, {n});
  file.dataset("/ranks/bytes_sent", sent, {n});
  file.dataset("/stages/names", stages);
  file.dataset("/stages/seconds", seconds, {n, stage_count});
  file.dataset("/stages/bytes", bytes, {n, stage_count});
  file.dataset("/stages/device_peak_bytes", device_peaks, {n, stage_count});
}

void write_model(Hdf5Writer& file, const ModelFolder& model) {
  file.attribute("/model", "name", model.name);
  file.attribute("/model", "path", std::filesystem::absolute(model.path).string());
  file.attribute("/model", "layers", model.transformer.layers);
  file.attribute("/model", "dim", model.transformer.dim());
  std::vector<std::string> names;
  std::vector<std::int64_t> sizes;
  for (const char* component : {"text_encoder", "transformer", "transformer_2", "vae"}) {
    if (!model.two_experts && std::string(component) == "transformer_2") continue;
    const auto files = model.files(component);
    for (const auto& part : files->files()) {
      names.push_back(fmt::format("{}/{}", component, part->path().filename().string()));
      sizes.push_back(static_cast<std::int64_t>(std::filesystem::file_size(part->path())));
    }
  }
  file.dataset("/model/files/name", names);
  file.dataset("/model/files/bytes", sizes, {static_cast<std::int64_t>(sizes.size())});
}

}  // namespace

void write_run_record(const std::filesystem::path& path, const Job& job, const ModelFolder& model,
                      const Clip& clip, const RenderPlan& plan,
                      const std::vector<RankReport>& ranks, const RunResult& result) {
  Hdf5Writer file(path);
  file.attribute("/", "schema", std::int64_t{1});
  file.attribute("/", "weft_version", std::string(WEFT_VERSION));
  file.attribute("/", "written", time_text());
  for (const JobKey& key : job_keys()) file.attribute("/config", key.name, key.get(job));
  // What the model's defaults filled in.
  file.attribute("/config/resolved", "width", clip.width);
  file.attribute("/config/resolved", "height", clip.height);
  file.attribute("/config/resolved", "frames", clip.frames);
  file.attribute("/config/resolved", "steps", static_cast<std::int64_t>(clip.steps));
  file.attribute("/config/resolved", "guidance-scale", clip.guidance_scale);
  file.attribute("/config/resolved", "guidance-scale-2", clip.guidance_scale_2);
  file.attribute("/config/resolved", "flow-shift", clip.flow_shift);
  file.attribute("/config/resolved", "fps", clip.fps);
  write_model(file, model);
  write_plan(file, plan);
  write_ranks(file, ranks);
  file.attribute("/result", "frames", result.frames);
  file.attribute("/result", "encoder_seconds", result.encoder_seconds);
  const auto seam = [&](const char* name, const std::optional<double>& value) {
    if (value) file.attribute("/result", name, *value);
  };
  seam("seam_frames", result.seams.frames);
  seam("seam_rows", result.seams.rows);
  seam("seam_columns", result.seams.cols);
  file.dataset("/versions", result.versions);
  file.commit();
}

}  // namespace weft
