#include "compare_command.h"

#include <cstdio>

#include "weft/io/atomic_file.h"
#include "weft/io/clip_comparison.h"
#include "weft/io/picture_quality.h"

namespace weft {
namespace {

std::string clip_text(const char* name, const ClipComparison::Clip& clip) {
  const ClipInfo& info = clip.info;
  return fmt::format("{:<15} {}: {} x {}{}, {}\n", name, clip.path.string(), info.width,
                     info.height, info.fps > 0 ? fmt::format(", {:g} fps", info.fps) : "",
                     info.format);
}

std::string psnr_text(const ClipComparison& made) {
  if (made.identical()) return "identical: all bytes of all frames are equal\n";
  const auto count = static_cast<std::int64_t>(made.frames.size());
  std::string text = fmt::format("{:.3f} dB of the whole; per frame least {:.3f}, mean {:.3f}",
                                 psnr(made.mse()), made.least_psnr(), *made.mean_psnr());
  if (made.differing() < count) {
    text += fmt::format(" (of the {} that differ; {} are equal)", made.differing(),
                        count - made.differing());
  }
  return text + "\n";
}

std::string warping_text(const ClipComparison::Clip& clip) {
  if (!FlowMeter::available()) {
    return "not measured: this weft was built without OpenCV, which finds the optical flow\n";
  }
  if (!clip.warping_error) {
    return clip.flow.empty() ? fmt::format("not measured: needs two frames of {} x {} or more\n",
                                           FlowMeter::smallest_side, FlowMeter::smallest_side)
                             : "not measured: no pixel could be followed between frames\n";
  }
  double counted = 0;
  for (const FlowMeter::Step& step : clip.flow) {
    counted += step.counted / static_cast<double>(clip.flow.size());
  }
  return fmt::format("{:.3e}, over {:.1f} % of the pixels\n", *clip.warping_error, 100 * counted);
}

std::string table(const ClipComparison& made) {
  std::string text = clip_text("a", made.a) + clip_text("b", made.b);
  text += fmt::format("{:<15} {} of {} compared differ\n", "frames", made.differing(),
                      made.frames.size());
  const double fps_a = made.a.info.fps, fps_b = made.b.info.fps;
  if (fps_a > 0 && fps_b > 0 && fps_a != fps_b) {
    text += fmt::format("{:<15} {:g} and {:g} differ: frames are compared in their order\n", "fps",
                        fps_a, fps_b);
  }
  text += fmt::format("{:<15} {}", "PSNR", psnr_text(made));
  if (const auto ssim = made.mean_ssim()) {
    text +=
        fmt::format("{:<15} {:.6f} on average, least {:.6f}\n", "SSIM", *ssim, *made.least_ssim());
  } else {
    text += fmt::format("{:<15} not measured: frames are smaller than its window, 8 x 8\n", "SSIM");
  }
  text += fmt::format("{:<15} {}", "warping error a", warping_text(made.a));
  text += fmt::format("{:<15} {}", "warping error b", warping_text(made.b));
  text +=
      "\nPSNR: 10 log10(255^2 / mean squared error) of decoded 8-bit RGB. SSIM: windows of 8 x 8, "
      "mean "
      "of\nR, G, B. Warping error: mean squared difference to the frame before, moved by the "
      "optical "
      "flow,\nvalues in 0 ... 1; 0 for a still clip, more for flicker and noise.\n";
  return text;
}

}  // namespace

int compare_command(const CompareArguments& arguments) {
  const ClipComparison made = compare_clips(arguments.a, arguments.b, arguments.frames);
  if (!arguments.json.empty()) write_text_file(arguments.json, comparison_json(made));
  if (!arguments.csv.empty()) write_text_file(arguments.csv, comparison_csv(made));
  std::fputs(table(made).c_str(), stdout);
  const double whole = psnr(made.mse());
  if (!arguments.min_psnr || whole >= *arguments.min_psnr) return 0;
  std::fflush(stdout);
  std::fputs(fmt::format("weft: PSNR {:.3f} dB is below the {:g} dB of --min-psnr\n", whole,
                         *arguments.min_psnr)
                 .c_str(),
             stderr);
  return 1;
}

}  // namespace weft
