#include "weft/scaling/series.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "weft/base/error.h"
#include "weft/scaling/measure.h"
#include "weft/scaling/result.h"

#include "support/temp_folder.h"

namespace weft {
namespace {

/// A record of a clip on `ranks` ranks: `denoise` s on the slowest of them, half of it on the
/// others; 1 s of decode, 5 s of loading, and 0.5 s more on rank 0.
RunRecord record_on(int ranks, double denoise, const std::string& file) {
  RunRecord r;
  r.path = file;
  r.command = "scale";
  r.width = r.height = 128;
  r.frames = 17;
  r.steps = 25;
  r.guidance_scale = 3;
  r.model = "weft-mini";
  r.model_fingerprint = "0123456789abcdef";
  r.device = "cpu";
  r.precision = "f32";
  r.windows = {whole(5, 16, 16)};
  r.owner = {0};
  r.flops[static_cast<std::size_t>(Stage::denoise)] = 9e9;
  r.flops[static_cast<std::size_t>(Stage::decode)] = 1e9;
  for (int rank = 0; rank < ranks; ++rank) {
    RankReport report;
    report.rank = rank;
    report.device = "AMD EPYC";
    report.threads = 1;
    const double mine = rank == ranks - 1 ? denoise : denoise / 2;
    report.wall_seconds = 5 + denoise + 1 + (rank == 0 ? 0.5 : 0);
    report.bytes_sent = 1000 * rank;
    const auto span = [&](Stage stage, double begin, double end) {
      Span made{};
      made.stage = stage;
      made.begin = begin;
      made.end = end;
      report.spans.push_back(made);
    };
    span(Stage::load, 0, 5);
    span(Stage::denoise, 5, 5 + mine);
    span(Stage::decode, 5 + denoise, 6 + denoise);
    span(Stage::gather, 6 + denoise, 6.001 + denoise);
    r.ranks.push_back(report);
  }
  return r;
}

const ScalingSeries* find(const std::vector<ScalingSeries>& all, const std::string& name) {
  for (const ScalingSeries& s : all) {
    if (s.name == name) return &s;
  }
  return nullptr;
}

// Catches: loading counted, means where the slowest rank counts, stages of no weight among the
// fits.
TEST(Series, AreOfTheSlowestRankWithoutLoading) {
  const auto all = series_of({record_on(1, 8, "a"), record_on(2, 4, "b")});
  const ScalingSeries* whole = find(all, "whole");
  ASSERT_NE(whole, nullptr);
  EXPECT_EQ(&all.front(), whole);
  EXPECT_NEAR(whole->runs[0].seconds, 9.5, 1e-9);
  EXPECT_NEAR(whole->runs[1].seconds, 5.5, 1e-9);
  EXPECT_EQ(whole->runs[1].ranks, 2);
  EXPECT_EQ(whole->runs[1].exchange_bytes, 1000);
  EXPECT_EQ(whole->runs[1].source, "b");
  EXPECT_EQ(whole->runs[1].work, 1);
  ASSERT_NE(find(all, "denoise"), nullptr);
  EXPECT_NEAR(find(all, "denoise")->runs[1].seconds, 4, 1e-9);
  EXPECT_NE(find(all, "decode"), nullptr);
  EXPECT_EQ(find(all, "load"), nullptr);
  EXPECT_EQ(find(all, "gather"), nullptr);  // 0.01 %
  EXPECT_EQ(find(all, "exchange"), nullptr);
  EXPECT_TRUE(whole->notes.empty());
}

// Catches: times of different work in one fit.
TEST(Series, RefuseDifferentWork) {
  RunRecord longer = record_on(2, 4, "b");
  longer.frames = 33;
  RunRecord other_gpu = record_on(2, 4, "c");
  other_gpu.ranks[1].device = "Intel Xeon";
  try {
    static_cast<void>(series_of({record_on(1, 8, "a"), longer, other_gpu}));
    FAIL() << "accepted";
  } catch (const InputError& e) {
    ASSERT_EQ(e.problems().size(), 2U);
    EXPECT_NE(e.problems()[0].find("b: frames is \"33\", in a it is \"17\""), std::string::npos);
    EXPECT_NE(e.problems()[1].find("Intel Xeon"), std::string::npos);
  }
  EXPECT_THROW(static_cast<void>(series_of({})), InputError);
}

// Catches: groups by file order, seeds and prompts taken for other work, groups that read alike.
TEST(Series, GroupRecordsByWork) {
  RunRecord seed = record_on(2, 4, "b");
  seed.config = {{"prompt", "another"}, {"seed", "9"}, {"parallel", "groups=2,cfg=1"}};
  RunRecord lossless = record_on(1, 8, "c");
  lossless.config = {{"codec", "ffv1"}};
  RunRecord continued = record_on(2, 4, "d");
  continued.resumed_steps = 7;
  const auto groups = group_records({record_on(1, 8, "a"), lossless, seed, continued});
  ASSERT_EQ(groups.size(), 2U);
  ASSERT_EQ(groups[0].records.size(), 2U);
  EXPECT_EQ(groups[0].records[1].path, "b");
  ASSERT_EQ(groups[0].warnings.size(), 1U);
  EXPECT_NE(groups[0].warnings[0].find("d is left out"), std::string::npos);
  EXPECT_NE(groups[1].work.find("codec ffv1"), std::string::npos);
  EXPECT_NE(groups[0].work, groups[1].work);
  EXPECT_NE(groups[0].work.find("128 x 128, 17 frames, 25 steps with guidance"), std::string::npos);
}

TEST(Series, WeakScalingIsPerWork) {
  RunRecord twice = record_on(2, 8, "b");
  twice.frames = 37;
  twice.windows = {whole(5, 16, 16), whole(5, 16, 16)};
  twice.flops[static_cast<std::size_t>(Stage::denoise)] = 19e9;
  const auto groups = group_records({record_on(1, 8, "a"), twice}, Weak::frames);
  ASSERT_EQ(groups.size(), 1U);
  const auto all = series_of(groups[0].records, Weak::frames);
  EXPECT_TRUE(all[0].weak);
  EXPECT_NEAR(all[0].runs[1].work / all[0].runs[0].work, 2, 1e-9);
  EXPECT_NEAR(find(all, "denoise")->runs[1].work / find(all, "denoise")->runs[0].work, 19.0 / 9,
              1e-9);
  RunRecord uncounted = record_on(1, 8, "a");
  uncounted.flops = {};
  EXPECT_THROW(static_cast<void>(series_of({uncounted}, Weak::frames)), InputError);
}

// Catches: windows that pass for one undivided pass.
TEST(Series, WindowsAreTold) {
  std::vector<RunRecord> records = {record_on(1, 8, "a"), record_on(2, 4, "b")};
  for (RunRecord& r : records) {
    r.windows = {Box{{Range{0, 5}, Range{0, 16}, Range{0, 16}}},
                 Box{{Range{0, 5}, Range{0, 16}, Range{12, 28}}}};
  }
  const auto all = series_of(records);
  ASSERT_EQ(all[0].notes.size(), 1U);
  EXPECT_NE(all[0].notes[0].find("1.14 times"), std::string::npos) << all[0].notes[0];
  EXPECT_NE(all[0].notes[0].find("windows change the arithmetic"), std::string::npos);
}

TEST(ScalingResult, TellsAllOfIt) {
  std::vector<RunRecord> records;
  for (const int n : {1, 2, 4, 8}) {
    for (int run = 1; run <= 3; ++run) {
      records.push_back(record_on(n, 80.0 / n * (1 + 0.002 * run), fmt::format("{}-{}", n, run)));
      records.back().predicted_speedup = n;
    }
  }
  const auto groups = group_records(records);
  ASSERT_EQ(groups.size(), 1U);
  const ScalingResult result = fit_records(groups[0], 50e9, {"ranks share processors"});
  const std::string text = describe(result);
  for (const char* words :
       {"strong scaling", "without loading the model", "ranks  runs", "planned", "denoise",
        "amdahl", "usl", "exchange", "best explained by", "predicted by", "  4096  ",
        "a of each stage", "ranks share processors", "Karp-Flatt", "1 thread a rank", "1 group"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
  }
  EXPECT_EQ(predicted_ranks(result.fits.front()).front(), 16);

  const auto json = nlohmann::json::parse(to_json({result}));
  const auto& whole = json["groups"][0]["fits"][0];
  EXPECT_EQ(whole["name"], "whole");
  EXPECT_EQ(whole["points"].size(), 4U);
  EXPECT_TRUE(whole["points"][0]["karp_flatt"].is_null());
  EXPECT_NEAR(whole["points"][3]["speedup"].get<double>(), 81.82 / 11.54, 0.01);
  EXPECT_EQ(json["groups"][0]["records"].size(), 12U);
  bool found = false;
  for (const auto& law : whole["laws"]) {
    if (law["law"] != "amdahl") continue;
    found = true;
    // 1.5 of 81.66 s are not shared.
    EXPECT_NEAR(law["parameters"]["a"]["value"].get<double>(), 1.5 / 81.66, 0.001);
    EXPECT_EQ(law["predictions"].back()["ranks"], 4096);
  }
  EXPECT_TRUE(found);
}

TEST(ScalingResult, InfiniteIsNullInJson) {
  const auto groups = group_records({record_on(1, 8, "a"), record_on(2, 4, "b")});
  const auto json = nlohmann::json::parse(to_json({fit_records(groups[0])}));
  const auto& law = json["groups"][0]["fits"][0]["laws"][0];
  EXPECT_TRUE(law["parameters"]["a"]["low"].is_null());
  EXPECT_FALSE(law["parameters"]["a"]["value"].is_null());
}

TEST(Records, AreFoundAndWrongOnesNamed) {
  const test::TempFolder folder;
  try {
    static_cast<void>(read_records({folder.path(), folder.path() / "none.h5"}));
    FAIL() << "accepted";
  } catch (const InputError& e) {
    ASSERT_EQ(e.problems().size(), 2U);
    EXPECT_NE(e.problems()[0].find("no run record"), std::string::npos);
    EXPECT_NE(e.problems()[1].find("none.h5"), std::string::npos);
  }
  std::filesystem::create_directories(folder.path() / "jobs" / "one");
  write_run_record(folder.path() / "jobs" / "one" / "clip.record.h5", record_on(2, 4, ""));
  const auto records = read_records({folder.path()});
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].ranks.size(), 2U);
}

TEST(Measure, RanksAreReadAndChosen) {
  EXPECT_EQ(usual_ranks(1), std::vector<int>({1}));
  EXPECT_EQ(usual_ranks(6), std::vector<int>({1, 2, 4, 6}));
  EXPECT_EQ(usual_ranks(8), std::vector<int>({1, 2, 4, 8}));
  EXPECT_EQ(parse_ranks("4,1,2"), std::vector<int>({1, 2, 4}));
  for (const char* bad : {"", "1,,2", "0", "1,two", "1,2,1", "1,", "-1"}) {
    EXPECT_THROW(static_cast<void>(parse_ranks(bad)), InputError) << bad;
  }
}

// Catches: frames that are not 4 k + 1, or latents that do not grow with the ranks.
TEST(Measure, TheClipOfWeakScalingGrows) {
  PreparedJob one;
  one.clip.frames = 17;
  one.clip.width = 64;
  Job job;
  EXPECT_EQ(job_on(job, one, Weak::none, 4).frames, job.frames);
  const std::int64_t factor = one.model.time_factor();
  const auto latent = [&](std::int64_t frames) { return (frames - 1) / factor + 1; };
  for (const int n : {1, 2, 3, 8}) {
    const auto frames = job_on(job, one, Weak::frames, n).frames.value();
    EXPECT_EQ(latent(frames), n * latent(17));
    EXPECT_EQ((frames - 1) % factor, 0);
    EXPECT_EQ(job_on(job, one, Weak::width, n).width.value(), 64 * n);
  }
}

}  // namespace
}  // namespace weft
