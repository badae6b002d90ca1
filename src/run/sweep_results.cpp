// Receives a sweep whose points are done, leaves its table and its sheet.
#include "weft/run/sweep_results.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "weft/io/atomic_file.h"
#include "weft/io/image.h"
#include "weft/run/batch.h"
#include "weft/run/run_record.h"

#include "job_values.h"
#include "sweep_results_sheet.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

/// A field of RFC 4180: quoted where it has to be.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string made = "\"";
  for (const char c : text) made += c == '"' ? std::string("\"\"") : std::string(1, c);
  return made + '"';
}

/// What the table says of a point, as text.
struct Figures {
  std::string frames, wall, denoise, warping_error;
  std::vector<std::string> seams;  // frames, rows, columns
};

Figures figures_of(const fs::path& record) {
  Figures f;
  f.seams.resize(3);
  if (!fs::exists(record)) return f;
  const RunRecord r = read_run_record(record);
  f.frames = fmt::format("{}", r.frames_made);
  f.wall = fmt::format("{:.3f}", r.wall_seconds());
  double denoise = 0;
  for (const RankReport& rank : r.ranks) {
    denoise += exclusive_seconds(rank.spans)[static_cast<std::size_t>(Stage::denoise)];
  }
  f.denoise = fmt::format("{:.3f}", denoise / static_cast<double>(r.ranks.size()));
  const std::optional<double> seams[] = {r.seams.frames, r.seams.rows, r.seams.cols};
  for (std::size_t i = 0; i < f.seams.size(); ++i) {
    if (seams[i]) f.seams[i] = fmt::format("{:.4f}", *seams[i]);
  }
  if (r.warping_error) f.warping_error = fmt::format("{:.4e}", *r.warping_error);
  return f;
}

std::string table_text(const Sweep& sweep, const fs::path& folder,
                       const std::vector<fs::path>& clips) {
  std::vector<std::string> keys;
  for (const SweepAxis& axis : sweep.axes) {
    keys.insert(keys.end(), axis.keys.begin(), axis.keys.end());
  }
  std::string text = "id";
  for (const std::string& key : keys) text += "," + key;
  text +=
      ",frames,wall_seconds,denoise_seconds,seam_frames,seam_rows,seam_columns,warping_error,"
      "clip\r\n";
  for (std::size_t i = 0; i < sweep.points.size(); ++i) {
    const ListedJob& point = sweep.points[i];
    fs::path record = clips[i];
    const Figures f = figures_of(record.replace_extension(".record.h5"));
    std::vector<std::string> row{point.id};
    for (const std::string& key : keys) row.push_back(find_job_key(key)->get(point.job));
    row.insert(row.end(), {f.frames, f.wall, f.denoise});
    row.insert(row.end(), f.seams.begin(), f.seams.end());
    row.push_back(f.warping_error);
    row.push_back(clips[i].lexically_relative(folder).string());
    for (std::size_t c = 0; c < row.size(); ++c) text += (c == 0 ? "" : ",") + csv_field(row[c]);
    text += "\r\n";
  }
  return text;
}

void write_text(const fs::path& path, const std::string& text) {
  AtomicPath file(path);
  std::ofstream out(file.temporary(), std::ios::binary);
  out << text;
  out.close();
  if (!out) fail("cannot write {}: {}", path.string(), std::strerror(errno));
  file.commit();
}

}  // namespace

SweepResults write_sweep_results(const Sweep& sweep, const fs::path& folder) {
  std::vector<fs::path> clips;
  for (const ListedJob& point : sweep.points) {
    clips.push_back(batch_clip(folder, point.id, point.job));
  }
  SweepResults made{.table = folder / "table.csv", .sheet = {}};
  write_text(made.table, table_text(sweep, folder, clips));
  if (!clips.empty() && fits_sheet(sweep)) {
    made.sheet = folder / "sheet.png";
    write_png(made.sheet, draw_sheet(sweep, clips));
  }
  return made;
}

}  // namespace weft
