#include "compare_arguments.h"

#include <cmath>

#include <CLI/CLI.hpp>

#include "weft/io/atomic_file.h"

namespace weft {

void add_compare_options(CLI::App& command, CompareArguments& values) {
  const char* group = "Compare";
  const char* clips =
      "a clip: any video file, numbered PNG files as in out/%05d.png, or their folder";
  command.add_option("a", values.a, clips)->type_name("A");
  command.add_option("b", values.b, clips)->type_name("B");
  command.add_option("--frames", values.frames, "compare the first frames only (default: all)")
      ->group(group)
      ->type_name("INT");
  command
      .add_option("--min-psnr", values.min_psnr,
                  "exit with 1 when the PSNR of the whole is below (default: no limit)")
      ->group(group)
      ->type_name("DB");
  command.add_option("--json", values.json, "also write all figures, frame by frame")
      ->group(group)
      ->type_name("FILE");
  command.add_option("--csv", values.csv, "also write a table with a line for every frame")
      ->group(group)
      ->type_name("FILE");
}

void check_compare_arguments(const CompareArguments& values, Problems& problems) {
  if (values.a.empty() || values.b.empty()) {
    problems.add("compare: name two clips: weft compare A B");
  }
  if (values.frames && *values.frames < 1) {
    problems.add("frames: {}: expected 1 or more", *values.frames);
  }
  if (values.min_psnr && !std::isfinite(*values.min_psnr)) {
    problems.add("min-psnr: {}: expected decibels such as 40", *values.min_psnr);
  }
  for (const auto& path : {values.json, values.csv}) {
    if (!path.empty()) problems.collect([&] { const AtomicPath can_be_made(path); });
  }
}

}  // namespace weft
