#include "weft/scaling/report.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "weft/io/video_encoder.h"

#include "made_record.h"
#include "support/temp_folder.h"
#include "well_formed.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using test::made_record;

/// Three numbers of ranks, two runs each.
FoundRecords scaled_records() {
  FoundRecords found;
  for (const int ranks : {1, 2, 4}) {
    for (const double slower : {1.0, 1.02}) {
      found.records.push_back(
          made_record(ranks, "n" + std::to_string(ranks) + (slower > 1 ? "b" : "a"), slower));
    }
  }
  return found;
}

template <class T>
std::map<std::string, T> blocks_of(const Report& report) {
  std::map<std::string, T> blocks;
  for (const Section& section : report.sections) {
    for (const Block& block : section.blocks) {
      if (const T* wanted = std::get_if<T>(&block)) {
        EXPECT_TRUE(blocks.emplace(wanted->id, *wanted).second) << wanted->id << " twice";
      }
    }
  }
  return blocks;
}

std::vector<std::vector<std::string>> rows_of(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    std::istringstream fields(line.substr(0, line.find('\r')));
    for (std::string field; std::getline(fields, field, ',');) rows.back().push_back(field);
  }
  return rows;
}

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Report, OfSeveralRankCountsHasEveryFigure) {
  const Report report = make_report(scaled_records());
  const auto figures = blocks_of<Figure>(report);
  for (const char* id : {"speedup", "efficiency", "speedup-stages", "prediction", "stage-bars",
                         "timeline-1", "timeline-2", "timeline-4", "step-times", "memory-peaks"}) {
    ASSERT_TRUE(figures.contains(id)) << id;
    EXPECT_EQ(test::WellFormed(figures.at(id).svg).problem(), "") << id;
  }
  const test::WellFormed page(html_page(report));
  EXPECT_EQ(page.problem(), "");
  EXPECT_EQ(page.count("svg"), figures.size());
  EXPECT_NE(page.words().find("a <kite> & \"the\" sea, it's 红色的风筝"), std::string::npos);
  EXPECT_NE(page.words().find("mpirun -n 4 weft render"), std::string::npos);
}

TEST(Report, TablesHaveTheRecordsNumbersInFull) {
  const FoundRecords found = scaled_records();
  const auto tables = blocks_of<Table>(make_report(found));
  const auto ranks = rows_of(csv_text(tables.at("rank-seconds-4")));
  ASSERT_EQ(ranks.size(), 5U);
  EXPECT_EQ(ranks[0], (std::vector<std::string>{"rank", "host", "load", "encode_text", "denoise",
                                                "exchange", "decode", "encode_video", "wait",
                                                "wall s", "\"sent", " bytes\""}));
  const RunRecord& record = found.records[4];  // the faster of the two on 4
  for (std::size_t r = 0; r < 4; ++r) {
    const auto seconds = exclusive_seconds(record.ranks[r].spans);
    EXPECT_EQ(std::stod(ranks[r + 1][4]), seconds[static_cast<std::size_t>(Stage::denoise)]);
    EXPECT_EQ(std::stod(ranks[r + 1][5]), seconds[static_cast<std::size_t>(Stage::exchange)]);
    EXPECT_EQ(std::stod(ranks[r + 1][9]), record.ranks[r].wall_seconds);
    EXPECT_EQ(std::stoll(ranks[r + 1][10]), record.ranks[r].bytes_sent);
  }
  const auto runs = rows_of(csv_text(tables.at("jobs")));
  EXPECT_EQ(runs.size(), found.records.size() + 1);
}

TEST(Report, StageBarsAddUpToTheWallTime) {
  const auto rows =
      rows_of(csv_text(blocks_of<Table>(make_report(scaled_records())).at("stage-seconds")));
  for (std::size_t i = 1; i < rows.size(); ++i) {
    double sum = 0;
    for (std::size_t c = 2; c + 1 < rows[i].size(); ++c) sum += std::stod(rows[i][c]);
    EXPECT_NEAR(sum, std::stod(rows[i].back()), 1e-9);
  }
}

TEST(Report, StepTimesIncludeTheExchange) {
  const auto rows =
      rows_of(csv_text(blocks_of<Table>(make_report({{made_record(2)}, {}})).at("steps")));
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1][1], "4");
  EXPECT_NEAR(std::stod(rows[1][3]), 0.5 + 0.125, 1e-9);  // median
}

TEST(Report, OfASingleRecordHasNoFit) {
  const Report report = make_report({{made_record(2)}, {}});
  const auto figures = blocks_of<Figure>(report);
  EXPECT_FALSE(figures.contains("speedup"));
  EXPECT_TRUE(figures.contains("timeline-2"));
  EXPECT_TRUE(figures.contains("stage-bars"));
  EXPECT_EQ(test::WellFormed(html_page(report)).problem(), "");
}

TEST(Report, KeepsDifferentWorkApart) {
  FoundRecords found;
  for (const int steps : {4, 6}) {
    for (const int ranks : {1, 2, 4}) {
      found.records.push_back(
          made_record(ranks, "s" + std::to_string(steps) + "n" + std::to_string(ranks), 1, steps));
    }
  }
  found.records.push_back(made_record(2, "alone", 1, 9));
  const Report report = make_report(found);
  const auto figures = blocks_of<Figure>(report);
  EXPECT_TRUE(figures.contains("speedup"));
  EXPECT_TRUE(figures.contains("speedup-2"));
  EXPECT_FALSE(figures.contains("speedup-3"));
  EXPECT_EQ(rows_of(csv_text(blocks_of<Table>(report).at("jobs"))).size(), 8U);
  EXPECT_EQ(test::WellFormed(html_page(report)).problem(), "");
}

TEST(Report, ClipsThatGrowWithTheRanksAreToldAndComparedOnRequest) {
  FoundRecords found;
  for (const int ranks : {1, 2, 4}) {
    RunRecord r = made_record(ranks, fmt::format("n{}", ranks));
    r.frames = r.frames_made = 16 * ranks + 1;
    r.flops.fill(1e9 * ranks);
    found.records.push_back(r);
  }
  const auto hint = [](const Report& report) {
    return std::ranges::any_of(report.warnings, [](const std::string& w) {
      return w.find("--weak frames compares them") != std::string::npos;
    });
  };
  const Report apart = make_report(found);
  EXPECT_TRUE(hint(apart));
  EXPECT_FALSE(blocks_of<Figure>(apart).contains("speedup"));
  const Report together = make_report(found, {.weak = Weak::frames, .bandwidth = {}});
  EXPECT_FALSE(hint(together));
  EXPECT_TRUE(blocks_of<Figure>(together).contains("speedup"));
  // A sweep over frames on one number of ranks is no scaling.
  found.records.erase(found.records.begin() + 2);
  found.records[1].ranks.resize(1);
  EXPECT_FALSE(hint(make_report(found)));
}

TEST(Report, RecordsOfAListAreNamedByTheirJobs) {
  FoundRecords found;
  for (const char* job : {"red", "blue"}) {
    found.records.push_back(made_record(1, fmt::format("out/jobs/{}/clip", job)));
  }
  const std::string jobs = csv_text(blocks_of<Table>(make_report(found)).at("jobs"));
  EXPECT_NE(jobs.find("red/clip.record.h5"), std::string::npos) << jobs;
  EXPECT_NE(jobs.find("blue/clip.record.h5"), std::string::npos) << jobs;
}

TEST(Report, LawsThatTheDataRefuteAreInTheTableAlone) {
  // The universal scalability law with a time that grows again, which Amdahl's law cannot have.
  FoundRecords found;
  for (const int ranks : {1, 2, 3, 4, 6, 8, 12, 16}) {
    for (const double noise : {0.999, 1.0, 1.001}) {
      RunRecord r = made_record(ranks, fmt::format("n{}-{}", ranks, noise));
      const double n = ranks;
      for (RankReport& rank : r.ranks) {
        rank.spans = {
            {Stage::denoise, 0, 40 / n * (1 + 0.02 * (n - 1) + 0.02 * n * (n - 1)) * noise}};
        rank.wall_seconds = rank.spans[0].end;
      }
      found.records.push_back(r);
    }
  }
  const Report report = make_report(found);
  const std::string svg = blocks_of<Figure>(report).at("speedup").svg;
  EXPECT_NE(svg.find("universal scalability law"), std::string::npos);
  EXPECT_EQ(svg.find("Amdahl"), std::string::npos);
  EXPECT_NE(csv_text(blocks_of<Table>(report).at("laws")).find(formula_of(Law::amdahl)),
            std::string::npos);
}

TEST(Report, WhatCannotBeFittedIsAWarning) {
  // Weak scaling needs the operations that the plan counts; these records have none.
  const Report report = make_report(scaled_records(), {.weak = Weak::frames, .bandwidth = {}});
  EXPECT_FALSE(blocks_of<Figure>(report).contains("speedup"));
  EXPECT_TRUE(blocks_of<Figure>(report).contains("stage-bars"));
  EXPECT_FALSE(report.warnings.empty());
}

TEST(Report, ContinuedClipsAreShownButNotFitted) {
  FoundRecords found = scaled_records();
  for (RunRecord& r : found.records) {
    if (r.ranks.size() == 4) r.resumed_steps = 2;
  }
  const Report report = make_report(found);
  EXPECT_TRUE(blocks_of<Figure>(report).contains("timeline-4"));
  for (const auto& row : rows_of(csv_text(blocks_of<Table>(report).at("points")))) {
    EXPECT_NE(row[1], "4");
  }
  EXPECT_NE(html_page(report).find("were done by an earlier run"), std::string::npos);
}

TEST(Report, TellsTheSameWarningOfSeveralSeriesOnce) {
  const Report report = make_report(scaled_records());
  std::set<std::string> sentences;
  for (const std::string& w : report.warnings) {
    EXPECT_TRUE(sentences.insert(w.substr(w.find(": "))).second) << w;
  }
}

TEST(Report, DrawsManyRanksAndSpansWithoutGrowingLarge) {
  const Report report = make_report({{made_record(256, "many", 1, 200)}, {}});
  const std::string svg = blocks_of<Figure>(report).at("timeline-256").svg;
  EXPECT_EQ(test::WellFormed(svg).problem(), "");
  EXPECT_LT(svg.size(), 3'000'000U);
}

TEST(Report, ShowsFramesOfTheClipBesideTheRecord) {
  const test::TempFolder folder;
  RunRecord record = made_record(1);
  record.path = folder.path() / "clip.record.h5";
  VideoOptions options;
  options.width = 64;
  options.height = 48;
  options.fps = 10;
  auto video = open_video(folder.path() / "clip.mkv", options);
  for (int i = 0; i < 17; ++i) {
    const std::vector<std::uint8_t> frame(64 * 48 * 3, static_cast<std::uint8_t>(10 * i));
    video->write(frame);
  }
  video->finish();
  for (auto& [key, value] : record.config) {
    if (key == "output") value = "/elsewhere/clip.mkv";
  }
  const std::string page = html_page(make_report({{record}, {}}));
  EXPECT_NE(page.find("data:image/png;base64,iVBOR"), std::string::npos);
  EXPECT_NE(page.find("frame 16"), std::string::npos);

  fs::remove(folder.path() / "clip.mkv");
  const std::string without = html_page(make_report({{record}, {}}));
  EXPECT_EQ(without.find("data:image/png"), std::string::npos);
  EXPECT_NE(without.find("its clip is not beside the record"), std::string::npos);
}

TEST(Report, WritesFiguresAndTablesAsFiles) {
  const test::TempFolder folder;
  const Report report = make_report(scaled_records());
  const auto svgs = write_figures(folder.path() / "svg", report);
  const auto csvs = write_tables(folder.path() / "csv", report);
  EXPECT_EQ(svgs.size(), blocks_of<Figure>(report).size());
  EXPECT_EQ(csvs.size(), blocks_of<Table>(report).size());
  EXPECT_EQ(test::WellFormed(text_of(folder.path() / "svg" / "speedup.svg")).problem(), "");
  EXPECT_EQ(text_of(folder.path() / "csv" / "jobs.csv").substr(0, 7), "record,");
}

std::vector<std::string> problems_of(const std::vector<fs::path>& paths) {
  try {
    static_cast<void>(find_records(paths));
  } catch (const InputError& e) {
    return e.problems();
  }
  return {};
}

TEST(FindRecords, TellsEveryProblemAtOnce) {
  const test::TempFolder folder;
  std::ofstream(folder.path() / "text.record.h5") << "no HDF5";
  fs::create_directory(folder.path() / "empty");
  const auto problems = problems_of(
      {folder.path() / "absent.h5", folder.path() / "text.record.h5", folder.path() / "empty"});
  ASSERT_EQ(problems.size(), 3U);
  EXPECT_NE(problems[0].find("absent.h5: no such file"), std::string::npos);
  EXPECT_NE(problems[1].find("text.record.h5"), std::string::npos);
  EXPECT_NE(problems[2].find("no run record in it"), std::string::npos);
}

TEST(FindRecords, SearchesFoldersAndWarnsOfDamagedOnes) {
  const test::TempFolder folder;
  fs::create_directories(folder.path() / "jobs" / "b");
  write_run_record(folder.path() / "jobs" / "b" / "clip.record.h5", made_record(2));
  write_run_record(folder.path() / "jobs" / "a.record.h5", made_record(1));
  std::ofstream(folder.path() / "jobs" / "c.record.h5") << "no HDF5";
  std::ofstream(folder.path() / "jobs" / "d.txt") << "something else";
  const FoundRecords found = find_records({folder.path(), folder.path() / "jobs" / "a.record.h5"});
  ASSERT_EQ(found.records.size(), 2U);
  EXPECT_EQ(found.records[0].path.filename(), "a.record.h5");
  EXPECT_EQ(found.records[1].ranks.size(), 2U);
  ASSERT_EQ(found.warnings.size(), 1U);
  EXPECT_NE(found.warnings[0].find("c.record.h5"), std::string::npos);
  const Report report = make_report(found);
  ASSERT_FALSE(report.warnings.empty());
  EXPECT_EQ(report.warnings[0], found.warnings[0]);
}

TEST(FindRecords, AFolderOfDamagedRecordsAloneIsAProblem) {
  const test::TempFolder folder;
  std::ofstream(folder.path() / "a.record.h5") << "no HDF5";
  std::ofstream(folder.path() / "b.record.h5") << "";
  EXPECT_EQ(problems_of({folder.path()}).size(), 2U);
}

}  // namespace
}  // namespace weft
