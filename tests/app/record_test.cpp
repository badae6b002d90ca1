// The run record of real runs: what it says, that it repeats the run, that others can read it.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "weft/run/run_record.h"

#include "program.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

class Record : public testing::Test {
 protected:
  Outcome render(const std::string& name, const Words& more = {}, int ranks = 0) const {
    Words words{"render", "--model", golden_model("tiny-wan21"), "-o", in_folder(name)};
    words.insert(words.end(), small_.begin(), small_.end());
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words, ranks);
  }
  Outcome repeat(const std::string& record, const std::string& name, const Words& more = {},
                 int ranks = 0) const {
    Words words{"render", "--from-record", in_folder(record), "-o", in_folder(name)};
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words, ranks);
  }
  [[nodiscard]] std::string in_folder(const std::string& name) const {
    return (folder_.path() / name).string();
  }
  [[nodiscard]] RunRecord read(const std::string& name) const {
    return read_run_record(in_folder(name));
  }

  // Two windows.
  const Words small_{
      "--prompt", "a red balloon", "--width", "112",     "--height", "64",     "--frames",
      "9",        "--window",      "64x64x9", "--steps", "3",        "--seed", "5"};
  TempFolder folder_;
};

double flops_of(const RunRecord& record, Stage stage) {
  double sum = 0;
  for (const RankReport& rank : record.ranks) {
    for (const Span& span : rank.spans) sum += span.stage == stage ? span.flops : 0;
  }
  return sum;
}

std::int64_t bytes_of(const RankReport& rank, Stage stage) {
  std::int64_t sum = 0;
  for (const Span& span : rank.spans) sum += span.stage == stage ? span.bytes : 0;
  return sum;
}

// Would catch: work that no span counts or two do, steps without a span, clocks that do not agree.
void check_spans(const RunRecord& r) {
  for (const Stage stage : {Stage::denoise, Stage::decode}) {
    const double planned = r.flops[static_cast<std::size_t>(stage)];
    EXPECT_GT(planned, 0) << stage_name(stage);
    EXPECT_NEAR(flops_of(r, stage), planned, planned * 1e-9) << stage_name(stage);
  }
  EXPECT_GT(flops_of(r, Stage::encode_text), 0);
  const double wall = r.wall_seconds();
  std::vector<int> pieces;
  for (const RankReport& rank : r.ranks) {
    std::vector<int> steps;
    double sum = 0;
    for (const Span& span : rank.spans) {
      if (span.stage == Stage::denoise) steps.push_back(span.step);
      if (span.stage == Stage::decode) pieces.push_back(span.step);
      EXPECT_GE(span.begin, -0.5) << stage_name(span.stage);  // ranks begin nearly together
      EXPECT_LE(span.end, wall + 0.5) << stage_name(span.stage);
    }
    EXPECT_EQ(steps, (std::vector<int>{0, 1, 2})) << "rank " << rank.rank;
    for (const double seconds : exclusive_seconds(rank.spans)) {
      EXPECT_GE(seconds, 0);
      sum += seconds;
    }
    EXPECT_LE(sum, rank.wall_seconds + 1e-6) << "rank " << rank.rank;
    EXPECT_FALSE(rank.device.empty());
  }
  std::ranges::sort(pieces);
  EXPECT_EQ(pieces, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(r.step_seconds().size(), 3U);
}

TEST_F(Record, SpansTellStepsAndWork) {
  ASSERT_EQ(render("clip.y4m", {}, 2).exit_code, 0);
  const RunRecord r = read("clip.record.h5");
  EXPECT_EQ(r.command, "render");
  EXPECT_EQ(r.device, "cpu");
  EXPECT_EQ(r.grid.groups, 2);
  EXPECT_EQ(r.retries, 0);
  EXPECT_EQ(r.resumed_steps, 0);
  EXPECT_GT(r.predicted_seconds, 0);
  EXPECT_GT(r.predicted_speedup, 1);
  check_spans(r);
  for (const RankReport& rank : r.ranks) {
    EXPECT_GT(bytes_of(rank, Stage::exchange), 0) << "windows overlap";
    EXPECT_EQ(bytes_of(rank, Stage::denoise), 0) << "no forward is shared";
    EXPECT_LE(bytes_of(rank, Stage::exchange), rank.bytes_sent);
    EXPECT_FALSE(rank.energy_joules);
  }
  for (const char* library : {"HDF5 ", "libavcodec "}) {
    EXPECT_TRUE(std::ranges::any_of(r.versions, [&](const std::string& v) {
      return v.starts_with(library) && v.find('.') != std::string::npos;
    })) << library;
  }
}

TEST_F(Record, SharedForwardsAreSharedInTheRecordToo) {
  ASSERT_EQ(render("clip.y4m", {"--parallel", "groups=1,cfg=2", "--window", "none"}, 2).exit_code,
            0);
  const RunRecord r = read("clip.record.h5");
  EXPECT_EQ(r.grid.cfg, 2);
  check_spans(r);
  EXPECT_GT(bytes_of(r.ranks[1], Stage::denoise), 0) << "velocities go between the halves";
}

TEST_F(Record, TilesAndMovingWindowsAreCountedWhole) {
  ASSERT_EQ(render("clip.y4m", {"--decode", "tiles"}, 2).exit_code, 0);
  const RunRecord r = read("clip.record.h5");
  const double planned = r.flops[static_cast<std::size_t>(Stage::decode)];
  EXPECT_NEAR(flops_of(r, Stage::decode), planned, planned * 1e-9);
}

TEST_F(Record, RepeatsTheRun) {
  // A path from here on, which another folder would not understand.
  const std::string model = fs::relative(golden_model("tiny-wan21")).string();
  ASSERT_EQ(
      render("a.y4m", {"--model", model, "--guidance-scale", "3.5", "--no-metadata"}, 2).exit_code,
      0);
  EXPECT_TRUE(fs::path(read("a.record.h5").config_value("model")).is_absolute());
  const Outcome again = repeat("a.record.h5", "b.y4m");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.err.find("not as in"), std::string::npos) << again.err;
  EXPECT_TRUE(read_file(in_folder("a.y4m")) == read_file(in_folder("b.y4m")));
  EXPECT_EQ(read("b.record.h5").config_value("guidance-scale"), "3.5");
  // Flags override the record, and its record repeats like the first.
  ASSERT_EQ(repeat("b.record.h5", "c.y4m", {"--seed", "6"}).exit_code, 0);
  EXPECT_FALSE(read_file(in_folder("a.y4m")) == read_file(in_folder("c.y4m")));
  ASSERT_EQ(repeat("c.record.h5", "d.y4m", {"--seed", "5"}).exit_code, 0);
  EXPECT_TRUE(read_file(in_folder("a.y4m")) == read_file(in_folder("d.y4m")));
}

TEST_F(Record, WhatHasChangedSinceIsToldByName) {
  const fs::path model = folder_.path() / "model";
  fs::copy(golden_model("tiny-wan21"), model, fs::copy_options::recursive);
  ASSERT_EQ(render("a.y4m", {"--model", model.string()}).exit_code, 0);
  const fs::path weights = model / "vae/diffusion_pytorch_model.safetensors";
  fs::permissions(weights, fs::perms::owner_write, fs::perm_options::add);
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-4, std::ios::end);
  const int byte = file.get();
  file.seekp(-4, std::ios::end);
  file.put(static_cast<char>(byte ^ 1));
  file.close();
  const Outcome again = repeat("a.record.h5", "b.y4m");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.err.find(weights.string() + " has other content"), std::string::npos)
      << again.err;
  EXPECT_EQ(again.err.find("transformer/"), std::string::npos) << again.err;

  fs::rename(model, folder_.path() / "moved");
  const Outcome gone = repeat("a.record.h5", "c.y4m");
  EXPECT_EQ(gone.exit_code, 2);
  EXPECT_NE(gone.err.find("give --model"), std::string::npos) << gone.err;
  EXPECT_NE(gone.err.find("1 problem:"), std::string::npos) << gone.err;
  const Outcome named = repeat("a.record.h5", "c.y4m", {"--model", in_folder("moved")});
  ASSERT_EQ(named.exit_code, 0) << named.err;
  EXPECT_TRUE(read_file(in_folder("b.y4m")) == read_file(in_folder("c.y4m")));
}

TEST_F(Record, RepeatingNeedsARecordAndAnOutput) {
  ASSERT_EQ(render("a.y4m").exit_code, 0);
  const Outcome no_output = run_weft({"render", "--from-record", in_folder("a.record.h5")});
  EXPECT_EQ(no_output.exit_code, 2);
  EXPECT_NE(no_output.err.find("output: missing"), std::string::npos) << no_output.err;
  const Outcome no_record = repeat("a.y4m", "b.y4m");
  EXPECT_EQ(no_record.exit_code, 2);
  EXPECT_NE(no_record.err.find("a.y4m: not a whole HDF5 file"), std::string::npos) << no_record.err;
}

// The price is no part of what a checkpoint belongs to, and the record says where it went on.
TEST_F(Record, TellsCostAndResumedSteps) {
  const Outcome stopped = render("a.y4m", {"--time-limit", "30s"});  // less than is kept free
  ASSERT_EQ(stopped.exit_code, 75) << stopped.err;
  const Outcome done = render("a.y4m", {"--price-per-gpu-hour", "3.6"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const RunRecord r = read("a.record.h5");
  EXPECT_EQ(r.resumed_steps, 1);
  EXPECT_EQ(r.step_seconds().size(), 2U);
  EXPECT_EQ(r.price_per_gpu_hour, 3.6);
  EXPECT_DOUBLE_EQ(*r.cost(), r.wall_seconds() / 1000);
  const std::string cost = cost_text(r);
  EXPECT_NE(cost.find("per finished second"), std::string::npos) << cost;
  EXPECT_NE(done.out.find(cost), std::string::npos) << done.out;
  const Outcome shown = run_weft({"inspect", in_folder("a.record.h5")});
  EXPECT_NE(shown.out.find(cost), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("after step 1"), std::string::npos) << shown.out;
}

TEST_F(Record, InspectShowsEveryPart) {
  RunRecord r;
  {
    ASSERT_EQ(render("a.y4m", {}, 2).exit_code, 0);
    r = read("a.record.h5");
  }
  r.warping_error = 0.0125;
  r.retries = 2;
  r.slurm_job = "4711";
  for (RankReport& rank : r.ranks) rank.energy_joules = 50000;
  r.config.emplace_back("odd", "x\x1b[31my");
  write_run_record(in_folder("b.record.h5"), r);
  const Outcome shown = run_weft({"inspect", in_folder("b.record.h5")});
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  for (const std::string part :
       {"schema 2", "command", "4711", "HDF5 ", "ranks 0-1 on ", r.ranks[0].device.c_str(),
        r.model_fingerprint.c_str(), r.model_files[0].hash.c_str(), "a red balloon", "2 windows",
        "2 groups", "predicted", "0.0125", "retries", "seam figure", "100 kJ", "step time",
        "median", "denoise GFLOP/s"}) {
    EXPECT_NE(shown.out.find(part), std::string::npos) << part << " in:\n" << shown.out;
  }
  EXPECT_EQ(shown.out.find('\x1b'), std::string::npos) << "a stranger's control characters";
}

TEST_F(Record, CanBeReadWithH5py) {
  ASSERT_EQ(render("a.y4m", {}, 2).exit_code, 0);
  const std::string script = std::string(WEFT_TEST_DATA) + "/app/read_record.py";
  int code = 77;
  for (const char* python : {"python3", "/usr/bin/python3"}) {  // Debian's h5py is of Debian's
    if (code != 77) break;
    const std::string command = std::string(python) + " " + shell_word(script) + " " +
                                shell_word(in_folder("a.record.h5")) + " 'a red balloon'";
    code = WEXITSTATUS(std::system(command.c_str()));
  }
  if (code == 77 || code == 127) GTEST_SKIP() << "no Python with h5py (python3-h5py) here";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace weft::test
