// A run record from its file. A stranger may have written it: every value is checked before it is
// believed.
#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/io/hdf5_file.h"
#include "weft/run/run_record.h"

namespace weft {
namespace {

constexpr std::int64_t newest_schema = 2;

class RecordFile {
 public:
  explicit RecordFile(const std::filesystem::path& path) : path_(path.string()), file_(path) {
    for (const char* part : {"/stages", "/ranks"}) {
      if (file_.has(part)) continue;
      fail_input("{}: an HDF5 file, but not a run record of weft (no /stages, no /ranks)", path_);
    }
    schema_ = file_.attribute_integer("/", "schema");
    if (schema_ < 1 || schema_ > newest_schema) {
      fail_input("{}: a run record of schema {}, and this weft reads 1 to {}: use a newer one",
                 path_, schema_, newest_schema);
    }
  }

  RunRecord read() {
    RunRecord r;
    r.path = path_;
    r.schema = static_cast<int>(schema_);
    read_provenance(r);
    read_clip(r);
    read_model(r);
    read_ranks(r.ranks);
    read_spans(r.ranks);
    read_plan(r);
    read_result(r);
    return r;
  }

 private:
  template <class... Args>
  [[noreturn]] void damaged(const std::string& where, fmt::format_string<Args...> format,
                            Args&&... args) const {
    fail_input("{}: {}: {}; it is damaged", path_, where,
               fmt::format(format, std::forward<Args>(args)...));
  }

  // ---- single values ----

  [[nodiscard]] bool has_attribute(const std::string& group, const std::string& name) const {
    return std::ranges::binary_search(file_.attributes(group), name);
  }

  [[nodiscard]] double checked(double value, double least, const std::string& where) const {
    if (std::isfinite(value) && value >= least) return value;
    damaged(where, "{} is not a number of {} or more", value, least);
  }
  [[nodiscard]] std::int64_t checked(std::int64_t value, std::int64_t least,
                                     const std::string& where) const {
    if (value >= least) return value;
    damaged(where, "{} is not {} or more", value, least);
  }

  [[nodiscard]] double number(const std::string& group, const std::string& name,
                              double least = 0) const {
    return checked(file_.attribute_number(group, name), least, group + " " + name);
  }
  [[nodiscard]] std::int64_t integer(const std::string& group, const std::string& name,
                                     std::int64_t least = 0) const {
    return checked(file_.attribute_integer(group, name), least, group + " " + name);
  }
  [[nodiscard]] int small(const std::string& group, const std::string& name) const {
    const std::int64_t value = integer(group, name, 1);
    if (value > std::numeric_limits<int>::max()) damaged(group + " " + name, "{}", value);
    return static_cast<int>(value);
  }
  [[nodiscard]] std::optional<double> if_there(const std::string& group, const std::string& name,
                                               double least = 0) const {
    if (!has_attribute(group, name)) return std::nullopt;
    return number(group, name, least);
  }

  // ---- lists ----

  void check_count(const std::string& where, std::size_t found, std::size_t expected) const {
    if (found != expected) damaged(where, "{} entries, and {} belong there", found, expected);
  }
  [[nodiscard]] std::vector<std::string> texts(const std::string& where, std::size_t n) const {
    auto values = file_.strings(where);
    check_count(where, values.size(), n);
    return values;
  }
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& where, std::size_t n,
                                                   std::int64_t least = 0) const {
    auto values = file_.integers(where);
    check_count(where, values.size(), n);
    for (const std::int64_t v : values) static_cast<void>(checked(v, least, where));
    return values;
  }
  [[nodiscard]] std::vector<double> numbers(const std::string& where, std::size_t n) const {
    auto values = file_.numbers(where);
    check_count(where, values.size(), n);
    for (const double v : values) static_cast<void>(checked(v, 0, where));
    return values;
  }
  /// Values below `end`.
  [[nodiscard]] std::vector<int> indices(const std::string& where, std::size_t n,
                                         std::size_t end) const {
    std::vector<int> made;
    for (const std::int64_t v : integers(where, n)) {
      if (v >= static_cast<std::int64_t>(end)) damaged(where, "{} is not below {}", v, end);
      made.push_back(static_cast<int>(v));
    }
    return made;
  }
  /// The rows of a table of so many columns.
  [[nodiscard]] std::size_t rows(const std::string& where, std::int64_t columns) const {
    const Shape shape = file_.shape(where);
    if (shape.rank() != 2 || shape[1] != columns) {
      damaged(where, "of shape {}, and {} columns belong there", shape.str(), columns);
    }
    return static_cast<std::size_t>(shape[0]);
  }
  [[nodiscard]] std::vector<Box> boxes(const std::string& where) const {
    const std::size_t n = rows(where, 6);
    const auto values = integers(where, n * 6);
    std::vector<Box> made(n);
    for (std::size_t b = 0; b < n; ++b) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const std::size_t at = b * 6 + axis * 2;
        if (values[at] > values[at + 1]) damaged(where, "box {} ends before it begins", b);
        made[b].axis[axis] = {values[at], values[at + 1]};
      }
    }
    return made;
  }

  // ---- parts ----

  void read_provenance(RunRecord& r) const {
    r.weft_version = file_.attribute_text("/", "weft_version");
    r.written = file_.attribute_text("/", "written");
    r.versions = file_.strings("/versions");
    for (const std::string& key : file_.attributes("/config")) {
      r.config.emplace_back(key, file_.attribute_text("/config", key));
    }
    if (schema_ < 2) return;
    r.command = file_.attribute_text("/", "command");
    r.slurm_job = file_.attribute_text("/", "slurm_job");
  }

  void read_clip(RunRecord& r) const {
    const std::string group = "/config/resolved";
    r.width = integer(group, "width", 1);
    r.height = integer(group, "height", 1);
    r.frames = integer(group, "frames", 1);
    r.steps = integer(group, "steps", 1);
    r.fps = number(group, "fps");
    r.guidance_scale = number(group, "guidance-scale");
    r.guidance_scale_2 = number(group, "guidance-scale-2");
    r.flow_shift = number(group, "flow-shift");
  }

  void read_model(RunRecord& r) const {
    r.model = file_.attribute_text("/model", "name");
    r.model_path = file_.attribute_text("/model", "path");
    r.layers = integer("/model", "layers");
    r.dim = integer("/model", "dim");
    const auto names = file_.strings("/model/files/name");
    const auto sizes = integers("/model/files/bytes", names.size());
    std::vector<std::string> hashes(names.size());
    if (schema_ >= 2) {
      r.model_fingerprint = file_.attribute_text("/model", "fingerprint");
      hashes = texts("/model/files/hash", names.size());
    }
    for (std::size_t f = 0; f < names.size(); ++f) {
      r.model_files.push_back({names[f], sizes[f], hashes[f]});
    }
  }

  void read_ranks(std::vector<RankReport>& ranks) {
    const auto hosts = file_.strings("/ranks/host");
    const std::size_t n = hosts.size();
    if (n == 0) damaged("/ranks/host", "no ranks");
    const auto threads = integers("/ranks/threads", n, 1);
    const auto wall = numbers("/ranks/wall_seconds", n);
    const auto memory = numbers("/ranks/peak_memory", n);
    const auto sent = integers("/ranks/bytes_sent", n);
    std::vector<std::string> devices(n);
    std::vector<double> energy(n, std::numeric_limits<double>::quiet_NaN());
    if (schema_ >= 2) {
      devices = texts("/ranks/device", n);
      energy = file_.numbers("/ranks/energy_joules");
      check_count("/ranks/energy_joules", energy.size(), n);
    }
    read_stage_names();
    const std::string of_peaks = "/stages/device_peak_bytes";
    std::vector<std::int64_t> peaks(n * stages_.size());
    if (schema_ >= 2 || file_.has(of_peaks)) peaks = integers(of_peaks, n * stages_.size());
    for (std::size_t r = 0; r < n; ++r) {
      if (threads[r] > std::numeric_limits<int>::max()) damaged("/ranks/threads", "{}", threads[r]);
      RankReport made{.rank = static_cast<int>(r),
                      .host = hosts[r],
                      .device = devices[r],
                      .threads = static_cast<int>(threads[r]),
                      .wall_seconds = wall[r],
                      .peak_memory = memory[r],
                      .bytes_sent = sent[r],
                      .energy_joules = {},
                      .spans = {},
                      .device_peaks = {}};
      if (!std::isnan(energy[r]))
        made.energy_joules = checked(energy[r], 0, "/ranks/energy_joules");
      for (std::size_t s = 0; s < stages_.size(); ++s) {
        made.device_peaks[static_cast<std::size_t>(stages_[s])] = peaks[r * stages_.size() + s];
      }
      ranks.push_back(std::move(made));
    }
  }

  void read_stage_names() {
    for (const std::string& name : file_.strings("/stages/names")) {
      int stage = 0;
      while (stage < stage_count && name != stage_name(static_cast<Stage>(stage))) ++stage;
      if (stage == stage_count) damaged("/stages/names", "there is no stage \"{}\"", name);
      const auto found = static_cast<Stage>(stage);
      if (std::ranges::find(stages_, found) != stages_.end()) {
        damaged("/stages/names", "{} is there twice", name);
      }
      stages_.push_back(found);
    }
  }

  void read_spans(std::vector<RankReport>& ranks) const {
    for (RankReport& rank : ranks) {
      const std::string where = fmt::format("/spans/{}", rank.rank);
      const std::int64_t columns = schema_ >= 2 ? 6 : 4;
      const std::size_t n = rows(where, columns);
      const auto values = file_.numbers(where);
      for (std::size_t i = 0; i < n; ++i) {
        rank.spans.push_back(span(std::span(values).subspan(i * static_cast<std::size_t>(columns),
                                                            static_cast<std::size_t>(columns)),
                                  where));
      }
    }
  }

  [[nodiscard]] Span span(std::span<const double> row, const std::string& where) const {
    const auto whole = [&](double value, double least, double end) {
      if (value >= least && value < end && value == std::trunc(value)) return value;
      damaged(where, "{} is not a whole number from {} to below {}", value, least, end);
    };
    constexpr double most_bytes = 9007199254740992;  // 2^53: whole numbers in a double
    constexpr double most_steps = std::numeric_limits<int>::max();
    const auto stage = whole(row[0], 0, static_cast<double>(stages_.size()));
    Span made{.stage = stages_[static_cast<std::size_t>(stage)],
              .begin = row[1],
              .end = checked(row[2], row[1], where),
              .bytes = static_cast<std::int64_t>(whole(row[3], 0, most_bytes))};
    if (!std::isfinite(made.begin)) damaged(where, "a span begins at {}", made.begin);
    if (row.size() == 4) return made;
    made.step = static_cast<int>(whole(row[4], -1, most_steps));
    made.flops = checked(row[5], 0, where);
    return made;
  }

  void read_plan(RunRecord& r) const {
    r.windows = boxes("/plan/windows");
    r.pieces = boxes("/plan/pieces");
    r.piece_owner = indices("/plan/piece_owner", r.pieces.size(), r.ranks.size());
    if (schema_ < 2) {
      r.owner = indices("/plan/owner", r.windows.size(), r.ranks.size());
      return;
    }
    r.device = file_.attribute_text("/plan", "device");
    r.precision = file_.attribute_text("/plan", "precision");
    r.grid = {.groups = small("/plan", "groups"),
              .cfg = small("/plan", "cfg"),
              .ulysses = small("/plan", "ulysses"),
              .ring = small("/plan", "ring")};
    std::int64_t product = 1;
    for (const int part : {r.grid.groups, r.grid.cfg, r.grid.ulysses, r.grid.ring}) {
      product = std::min<std::int64_t>(product, std::numeric_limits<int>::max()) * part;
    }
    if (product > std::ssize(r.ranks)) {
      damaged("/plan", "{} ranks denoise, of {}", product, r.ranks.size());
    }
    r.owner = indices("/plan/owner", r.windows.size(), static_cast<std::size_t>(r.grid.groups));
    r.predicted_seconds = number("/plan", "predicted_seconds");
    r.predicted_speedup = number("/plan", "predicted_speedup");
    const auto flops = numbers("/plan/flops", stages_.size());
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      r.flops[static_cast<std::size_t>(stages_[s])] = flops[s];
    }
  }

  void read_result(RunRecord& r) const {
    r.frames_made = integer("/result", "frames");
    r.encoder_seconds = number("/result", "encoder_seconds");
    r.seams.frames = if_there("/result", "seam_frames");
    r.seams.rows = if_there("/result", "seam_rows");
    r.seams.cols = if_there("/result", "seam_columns");
    if (schema_ < 2) return;
    r.retries = integer("/result", "retries");
    r.resumed_steps = integer("/result", "resumed_steps");
    r.warping_error = if_there("/result", "warping_error");
    r.price_per_gpu_hour = if_there("/result", "price_per_gpu_hour");
  }

  std::string path_;
  Hdf5Reader file_;
  std::int64_t schema_ = 0;
  std::vector<Stage> stages_;  // by their index in the file
};

}  // namespace

RunRecord read_run_record(const std::filesystem::path& path) { return RecordFile(path).read(); }

}  // namespace weft
