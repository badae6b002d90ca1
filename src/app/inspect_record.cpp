// Receives a run record as read from its file, hands out text. A stranger may have written its
// texts: they are printed on one line each, without control characters.
#include "inspect_record.h"

#include <algorithm>

namespace weft {
namespace {

std::string shown(std::string text) {
  for (char& c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7F) c = ' ';
  }
  return text;
}

void line(std::string& out, const char* name, const std::string& value) {
  out += fmt::format("{:<13} {}\n", name, shown(value));
}

const char* plural(std::size_t count) { return count == 1 ? "" : "s"; }

std::string flops_text(double flops) {
  return flops < 1e12 ? fmt::format("{:.4g} GFLOP", flops / 1e9)
                      : fmt::format("{:.4g} TFLOP", flops / 1e12);
}

double of_stage(const auto& by_stage, Stage stage) {
  return static_cast<double>(by_stage[static_cast<std::size_t>(stage)]);
}

void add_provenance(const RunRecord& r, std::string& out) {
  line(out, "record",
       fmt::format("schema {}, written {} by weft {}", r.schema, r.written, r.weft_version));
  if (!r.command.empty()) line(out, "command", r.command);
  if (!r.slurm_job.empty()) line(out, "Slurm job", r.slurm_job);
  std::string versions;
  for (const std::string& v : r.versions) versions += (versions.empty() ? "" : ", ") + v;
  line(out, "versions", versions);
  // Ranks of one host and device in one line.
  for (std::size_t begin = 0; begin < r.ranks.size();) {
    const RankReport& first = r.ranks[begin];
    std::size_t end = begin + 1;
    while (end < r.ranks.size() && r.ranks[end].host == first.host &&
           r.ranks[end].device == first.device && r.ranks[end].threads == first.threads) {
      ++end;
    }
    const std::string ranks = end - begin == 1 ? fmt::format("rank {}", begin)
                                               : fmt::format("ranks {}-{}", begin, end - 1);
    line(out, begin == 0 ? "machines" : "",
         fmt::format("{} on {}{}{}, {} thread{} each", ranks, first.host,
                     first.device.empty() ? "" : ": ", first.device, first.threads,
                     first.threads == 1 ? "" : "s"));
    begin = end;
  }
  line(out, "model",
       fmt::format("{} ({} layers, width {}) in {}", r.model, r.layers, r.dim, r.model_path));
  if (!r.model_fingerprint.empty()) line(out, "fingerprint", r.model_fingerprint);
  for (const ModelFile& file : r.model_files) {
    line(out, "", fmt::format("{:<16} {:>12}  {}", file.hash, file.bytes, file.name));
  }
}

void add_config(const RunRecord& r, std::string& out) {
  out += "\nconfig (keys of the job that were set)\n";
  for (const auto& [key, value] : r.config) {
    if (!value.empty()) out += fmt::format("  {:<20} {}\n", shown(key), shown(value));
  }
  out += '\n';
  line(out, "clip",
       fmt::format("{} x {} pixels, {} frames at {:g} a second, {} steps", r.width, r.height,
                   r.frames, r.fps, r.steps));
  line(out, "sampling",
       fmt::format("guidance {:g} and {:g}, flow shift {:g}", r.guidance_scale, r.guidance_scale_2,
                   r.flow_shift));
}

void add_plan(const RunRecord& r, std::string& out) {
  line(out, "plan",
       fmt::format("{} window{}, {} pieces to decode, {} rank{}", r.windows.size(),
                   plural(r.windows.size()), r.pieces.size(), r.ranks.size(),
                   plural(r.ranks.size())));
  if (r.schema < 2) return;
  line(out, "", fmt::format("{}; {} in {}", r.grid.str(), r.device, r.precision));
  line(out, "",
       fmt::format("text {}, denoise {}, decode {}",
                   flops_text(of_stage(r.flops, Stage::encode_text)),
                   flops_text(of_stage(r.flops, Stage::denoise)),
                   flops_text(of_stage(r.flops, Stage::decode))));
  const double took = r.stage_seconds(Stage::denoise) + r.stage_seconds(Stage::exchange) +
                      r.stage_seconds(Stage::decode);
  line(out, "",
       fmt::format("predicted {:.4g} s for denoise and decode (measured, with exchange: "
                   "{:.4g} s), speed-up {:.3g}",
                   r.predicted_seconds, took, r.predicted_speedup));
}

void add_result(const RunRecord& r, std::string& out) {
  line(out, "result",
       fmt::format("{} frames in {:.2f} s, {:.2f} s without loading; encoder {:.2f} "
                   "s beside it",
                   r.frames_made, r.wall_seconds(), r.busy_seconds(), r.encoder_seconds));
  if (r.retries > 0) line(out, "retries", fmt::format("{}", r.retries));
  if (r.resumed_steps > 0) {
    line(out, "resumed", fmt::format("after step {} of an earlier run", r.resumed_steps));
  }
  const auto seam = [&](const char* axis, const std::optional<double>& value) {
    if (value) line(out, "seam figure", fmt::format("{} {:.3f}", axis, *value));
  };
  seam("frames", r.seams.frames);
  seam("rows", r.seams.rows);
  seam("columns", r.seams.cols);
  if (r.warping_error) line(out, "warping error", fmt::format("{:.5g}", *r.warping_error));
  out += cost_text(r);
}

void add_steps(const RunRecord& r, std::string& out) {
  std::vector<double> seconds = r.step_seconds();
  if (seconds.empty()) return;
  std::ranges::sort(seconds);
  const std::size_t half = seconds.size() / 2;
  const double median =
      seconds.size() % 2 == 1 ? seconds[half] : (seconds[half - 1] + seconds[half]) / 2;
  line(out, "step time",
       fmt::format("median {:.4g} s, least {:.4g} s, most {:.4g} s of {} step{}", median,
                   seconds.front(), seconds.back(), seconds.size(), plural(seconds.size())));
}

/// Exclusive seconds per stage, as far as any rank has spent some, and what else is known by rank.
void add_ranks(const RunRecord& r, std::string& out) {
  std::vector<Stage> stages;
  for (int s = 0; s < stage_count; ++s) {
    if (r.stage_seconds(static_cast<Stage>(s)) > 0) stages.push_back(static_cast<Stage>(s));
  }
  const bool counted = of_stage(r.flops, Stage::denoise) > 0;
  const bool on_gpus = r.device == "cuda";
  out += fmt::format("\n{:>5} {:<16}", "rank", "host");
  for (const Stage s : stages) out += fmt::format(" {:>12}", stage_name(s));
  out += fmt::format(" {:>9} {:>8} {:>9}{}\n", "wall s", "GB", "sent MB",
                     !counted  ? ""
                     : on_gpus ? "  denoise TFLOP/s"
                               : "  denoise GFLOP/s");
  for (const RankReport& rank : r.ranks) {
    const auto seconds = exclusive_seconds(rank.spans);
    out += fmt::format("{:>5} {:<16}", rank.rank, shown(rank.host));
    for (const Stage s : stages) out += fmt::format(" {:>12.3f}", of_stage(seconds, s));
    const double peak = std::max(rank.peak_memory,
                                 static_cast<double>(*std::ranges::max_element(rank.device_peaks)));
    out += fmt::format(" {:>9.3f} {:>8.2f} {:>9.2f}", rank.wall_seconds, peak / 1e9,
                       static_cast<double>(rank.bytes_sent) / 1e6);
    double flops = 0;
    for (const Span& span : rank.spans) flops += span.stage == Stage::denoise ? span.flops : 0;
    const double spent = of_stage(seconds, Stage::denoise);
    if (counted && spent > 0)
      out += fmt::format("  {:>15.4g}", flops / spent / (on_gpus ? 1e12 : 1e9));
    out += '\n';
  }
}

}  // namespace

std::string describe_record(const RunRecord& record) {
  std::string out;
  add_provenance(record, out);
  add_config(record, out);
  add_plan(record, out);
  add_result(record, out);
  add_steps(record, out);
  add_ranks(record, out);
  return out;
}

}  // namespace weft
