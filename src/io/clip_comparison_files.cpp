// A comparison as JSON and CSV.
#include <cmath>

#include <nlohmann/json.hpp>

#include "weft/base/error.h"
#include "weft/io/clip_comparison.h"
#include "weft/io/picture_quality.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

Json or_null(std::optional<double> value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

Json clip_json(const ClipComparison::Clip& clip) {
  return {{"path", clip.path.string()},
          {"format", clip.info.format},
          {"width", clip.info.width},
          {"height", clip.info.height},
          {"fps", clip.info.fps > 0 ? Json(clip.info.fps) : Json(nullptr)},
          {"warping_error", or_null(clip.warping_error)}};
}

/// The step to a frame from the one before; nothing for the first and where none was measured.
const FlowMeter::Step* step_to(const ClipComparison::Clip& clip, std::size_t frame) {
  return frame == 0 || frame > clip.flow.size() ? nullptr : &clip.flow[frame - 1];
}

std::string cell(std::optional<double> value) { return value ? fmt::format("{}", *value) : ""; }

}  // namespace

std::string comparison_json(const ClipComparison& comparison) {
  Json frames = Json::array();
  for (std::size_t f = 0; f < comparison.frames.size(); ++f) {
    const auto& frame = comparison.frames[f];
    Json line = {
        {"mse", frame.mse}, {"psnr", or_null(psnr(frame.mse))}, {"ssim", or_null(frame.ssim)}};
    for (const auto& [name, clip] : {std::pair{"a", &comparison.a}, {"b", &comparison.b}}) {
      const FlowMeter::Step* step = step_to(*clip, f);
      line[fmt::format("warping_error_{}", name)] = step ? or_null(step->error) : Json(nullptr);
      line[fmt::format("counted_{}", name)] = step ? Json(step->counted) : Json(nullptr);
    }
    frames.push_back(std::move(line));
  }
  const Json all = {
      {"a", clip_json(comparison.a)},
      {"b", clip_json(comparison.b)},
      {"frames", comparison.frames.size()},
      {"identical", comparison.identical()},
      {"differing_frames", comparison.differing()},
      {"mse", comparison.mse()},
      {"psnr", or_null(psnr(comparison.mse()))},
      {"psnr_least", or_null(comparison.least_psnr())},
      {"psnr_mean_of_differing", or_null(comparison.mean_psnr())},
      {"ssim", or_null(comparison.mean_ssim())},
      {"ssim_least", or_null(comparison.least_ssim())},
      {"per_frame", std::move(frames)},
  };
  return all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";  // a path may be no UTF-8
}

std::string comparison_csv(const ClipComparison& comparison) {
  std::string text = "frame,mse,psnr,ssim,warping_error_a,counted_a,warping_error_b,counted_b\r\n";
  for (std::size_t f = 0; f < comparison.frames.size(); ++f) {
    const auto& frame = comparison.frames[f];
    text += fmt::format("{},{},{},{}", f, frame.mse, psnr(frame.mse), cell(frame.ssim));
    for (const ClipComparison::Clip* clip : {&comparison.a, &comparison.b}) {
      const FlowMeter::Step* step = step_to(*clip, f);
      text += step ? fmt::format(",{},{}", cell(step->error), step->counted) : ",,";
    }
    text += "\r\n";
  }
  return text;
}

}  // namespace weft
