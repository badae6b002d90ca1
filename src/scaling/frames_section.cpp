// A few frames of the clips, read from the files beside the records.
#include <algorithm>
#include <cmath>

#include "weft/io/video_reader.h"

#include "sections.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t most_frames = 6;
constexpr std::int64_t most_width = 152, most_height = 152;
constexpr std::size_t most_clips = 24;

/// The clip beside the record: out/kite.record.h5 -> out/kite.mp4, or the name that the job gave
/// it. Never a path of elsewhere, whatever the record says. "" when it is gone.
fs::path clip_of(const RunRecord& run) {
  const fs::path output = run.config_value("output");
  const std::string ending = ".record.h5";
  std::string name = run.path.filename().string();
  std::vector<fs::path> names{output.filename()};
  if (name.ends_with(ending)) {
    name.resize(name.size() - ending.size());
    names.insert(names.begin(), name + output.extension().string());
  }
  for (const fs::path& candidate : names) {
    std::error_code ignored;
    const fs::path path = run.path.parent_path() / candidate;
    if (!candidate.empty() && fs::is_regular_file(path, ignored)) return path;
  }
  return {};
}

Image scaled_down(const Image& frame) {
  const double scale = std::min(
      {1.0, double(most_width) / double(frame.width), double(most_height) / double(frame.height)});
  const auto side = [&](std::int64_t s) {
    return std::max<std::int64_t>(1, std::lround(double(s) * scale));
  };
  return resize_lanczos(frame, side(frame.width), side(frame.height));
}

FrameStrip strip_of(const RunRecord& run, const fs::path& clip) {
  FrameStrip strip{run.config_value("prompt"), {}};
  if (strip.title.empty()) strip.title = clip.filename().string();
  const std::int64_t last = std::max<std::int64_t>(run.frames_made, 1) - 1;
  const std::int64_t shown = std::min(most_frames, last + 1);
  VideoReader video(clip);
  std::int64_t next = 0;  // of the pictures
  for (std::int64_t i = 0; next < shown; ++i) {
    const auto frame = video.next();
    if (!frame) break;
    if (i != (shown == 1 ? 0 : (next * last + (shown - 1) / 2) / (shown - 1))) continue;
    const Image small = scaled_down(*frame);
    strip.pictures.push_back(
        {png_data_uri(small), fmt::format("frame {}", i), small.width, small.height});
    ++next;
  }
  return strip;
}

void add_clip(Section& section, const RunRecord& run) {
  const fs::path clip = clip_of(run);
  const std::string record = record_name(run);
  if (clip.empty()) {
    section.blocks.emplace_back(
        Note{fmt::format("{}: no frames: its clip is not beside the record.", record)});
    return;
  }
  try {
    FrameStrip strip = strip_of(run, clip);
    if (strip.pictures.empty()) fail("it holds no frame");
    section.blocks.emplace_back(std::move(strip));
  } catch (const Error& e) {
    section.blocks.emplace_back(Note{fmt::format("{}: no frames: {}", record, e.what())});
  }
}

}  // namespace

Section frames_section(const Works& works) {
  Section section{"frames", "Frames", {}};
  std::vector<std::string> seen;  // the same job on other ranks makes the same picture
  std::size_t left_out = 0;
  for (const Work& work : works) {
    for (const RunsOfCount& count : work.counts) {
      for (const RunRecord* run : count.runs) {
        std::string key = run->model_fingerprint;
        for (const auto& [name, value] : run->config) {
          const bool same_picture = name == "output" || name == "record" || name == "threads" ||
                                    name == "parallel" || name == "resume";
          if (!same_picture) key += "\n" + name + "=" + value;
        }
        if (std::ranges::find(seen, key) != seen.end()) continue;
        seen.push_back(key);
        if (seen.size() > most_clips) {
          ++left_out;
        } else {
          add_clip(section, *run);
        }
      }
    }
  }
  if (left_out > 0) {
    section.blocks.emplace_back(Note{fmt::format("{} more clips are not shown.", left_out)});
  }
  return section;
}

}  // namespace weft
