// The run record: what is written is read, nothing else is believed.
#include "weft/run/run_record.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "weft/io/hdf5_file.h"

#include "support/temp_folder.h"

/// The HDF5 library (1.10.8) itself loses some bytes when it refuses a damaged file.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace weft {
namespace {
namespace fs = std::filesystem;

/// Every field with a value of its own.
RunRecord sample() {
  RunRecord r;
  r.weft_version = "9.8.7";
  r.written = "2026-11-27T01:02:03Z";
  r.command = "batch";
  r.slurm_job = "4711";
  r.versions = {"MPI 4.1", "HDF5 1.10.8"};
  r.config = {{"prompt", "风筝, \"a kite\""}, {"seed", "18446744073709551615"}, {"width", ""}};
  r.width = 128;
  r.height = 64;
  r.frames = 17;
  r.steps = 2;
  r.fps = 10.5;
  r.guidance_scale = 3.25;
  r.guidance_scale_2 = 4.5;
  r.flow_shift = 8.125;
  r.model = "wan";
  r.model_path = "/models/wan";
  r.model_fingerprint = "0123456789abcdef";
  r.layers = 30;
  r.dim = 1536;
  r.model_files = {{"transformer/a.safetensors", (std::int64_t{1} << 53) + 1, "00ff00ff00ff00ff"},
                   {"vae/b.safetensors", 5, "1111222233334444"}};
  r.device = "cuda";
  r.precision = "bf16";
  r.grid = {.groups = 1, .cfg = 2, .ulysses = 1, .ring = 1};
  r.windows = {{{Range{0, 3}, {0, 8}, {0, 10}}}, {{Range{0, 3}, {0, 8}, {6, 16}}}};
  r.owner = {0, 0};
  r.pieces = {{{Range{0, 1}, {0, 8}, {0, 16}}}};
  r.piece_owner = {1};
  r.flops[static_cast<std::size_t>(Stage::denoise)] = 1.5e15;
  r.predicted_seconds = 12.5;
  r.predicted_speedup = 1.875;
  RankReport first{.rank = 0,
                   .host = "node1",
                   .device = "NVIDIA H200",
                   .threads = 8,
                   .wall_seconds = 20,
                   .peak_memory = 1e9,
                   .bytes_sent = 12345678901,
                   .energy_joules = 2500,
                   .spans = {{Stage::load, 1, 3},
                             {Stage::exchange, 5, 6, 700, 0},
                             {Stage::denoise, 4, 9, 30, 0, 1e12},
                             {Stage::denoise, 9, 14, 0, 1, 2e12},
                             {Stage::encode_video, 18, 20}},
                   .device_peaks = {}};
  first.device_peaks[static_cast<std::size_t>(Stage::decode)] = 77;
  r.ranks = {first, first};
  r.ranks[1].rank = 1;
  r.ranks[1].host = "node2";
  r.ranks[1].wall_seconds = 18;
  r.ranks[1].energy_joules = 1500;
  r.ranks[1].spans = {};
  r.frames_made = 17;
  r.encoder_seconds = 0.75;
  r.retries = 2;
  r.resumed_steps = 1;
  r.seams = {.frames = 1.5, .rows = {}, .cols = 0.5};
  r.warping_error = 0.03125;
  r.price_per_gpu_hour = 2.5;
  return r;
}

void expect_equal(const RankReport& a, const RankReport& b) {
  EXPECT_EQ(a.rank, b.rank);
  EXPECT_EQ(a.host, b.host);
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.threads, b.threads);
  EXPECT_EQ(a.wall_seconds, b.wall_seconds);
  EXPECT_EQ(a.peak_memory, b.peak_memory);
  EXPECT_EQ(a.bytes_sent, b.bytes_sent);
  EXPECT_EQ(a.energy_joules, b.energy_joules);
  EXPECT_EQ(a.device_peaks, b.device_peaks);
  ASSERT_EQ(a.spans.size(), b.spans.size());
  for (std::size_t i = 0; i < a.spans.size(); ++i) {
    EXPECT_EQ(a.spans[i].stage, b.spans[i].stage);
    EXPECT_EQ(a.spans[i].begin, b.spans[i].begin);
    EXPECT_EQ(a.spans[i].end, b.spans[i].end);
    EXPECT_EQ(a.spans[i].bytes, b.spans[i].bytes);
    EXPECT_EQ(a.spans[i].step, b.spans[i].step);
    EXPECT_EQ(a.spans[i].flops, b.spans[i].flops);
  }
}

void expect_equal(const RunRecord& a, const RunRecord& b) {
  EXPECT_EQ(a.weft_version, b.weft_version);
  EXPECT_EQ(a.written, b.written);
  EXPECT_EQ(a.command, b.command);
  EXPECT_EQ(a.slurm_job, b.slurm_job);
  EXPECT_EQ(a.versions, b.versions);
  EXPECT_EQ(a.config, b.config);
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  EXPECT_EQ(a.frames, b.frames);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.fps, b.fps);
  EXPECT_EQ(a.guidance_scale, b.guidance_scale);
  EXPECT_EQ(a.guidance_scale_2, b.guidance_scale_2);
  EXPECT_EQ(a.flow_shift, b.flow_shift);
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.model_path, b.model_path);
  EXPECT_EQ(a.model_fingerprint, b.model_fingerprint);
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.dim, b.dim);
  EXPECT_TRUE(a.model_files == b.model_files);
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.precision, b.precision);
  EXPECT_TRUE(a.grid == b.grid);
  EXPECT_TRUE(a.windows == b.windows);
  EXPECT_TRUE(a.pieces == b.pieces);
  EXPECT_EQ(a.owner, b.owner);
  EXPECT_EQ(a.piece_owner, b.piece_owner);
  EXPECT_EQ(a.flops, b.flops);
  EXPECT_EQ(a.predicted_seconds, b.predicted_seconds);
  EXPECT_EQ(a.predicted_speedup, b.predicted_speedup);
  EXPECT_EQ(a.frames_made, b.frames_made);
  EXPECT_EQ(a.encoder_seconds, b.encoder_seconds);
  EXPECT_EQ(a.retries, b.retries);
  EXPECT_EQ(a.resumed_steps, b.resumed_steps);
  EXPECT_EQ(a.seams.frames, b.seams.frames);
  EXPECT_EQ(a.seams.rows, b.seams.rows);
  EXPECT_EQ(a.seams.cols, b.seams.cols);
  EXPECT_EQ(a.warping_error, b.warping_error);
  EXPECT_EQ(a.price_per_gpu_hour, b.price_per_gpu_hour);
  ASSERT_EQ(a.ranks.size(), b.ranks.size());
  for (std::size_t r = 0; r < a.ranks.size(); ++r) expect_equal(a.ranks[r], b.ranks[r]);
}

class RunRecordFile : public testing::Test {
 protected:
  [[nodiscard]] RunRecord there_and_back(const RunRecord& record) const {
    write_run_record(path_, record);
    return read_run_record(path_);
  }
  /// What reading says of a record that was written with these values.
  [[nodiscard]] std::string complaint(const RunRecord& record) const {
    write_run_record(path_, record);
    return complaint_of(path_);
  }
  [[nodiscard]] static std::string complaint_of(const fs::path& path) {
    try {
      static_cast<void>(read_run_record(path));
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
  test::TempFolder folder_;
  fs::path path_ = folder_.path() / "clip.record.h5";
};

TEST_F(RunRecordFile, ReadsWhatWasWritten) {
  const RunRecord record = sample();
  const RunRecord back = there_and_back(record);
  expect_equal(record, back);
  EXPECT_EQ(back.schema, 2);
  EXPECT_EQ(back.path, path_);
}

TEST_F(RunRecordFile, WhatWasNotMeasuredIsAbsent) {
  RunRecord record = sample();
  record.seams = {};
  record.warping_error.reset();
  record.price_per_gpu_hour.reset();
  for (RankReport& r : record.ranks) r.energy_joules.reset();
  const RunRecord back = there_and_back(record);
  expect_equal(record, back);
  EXPECT_FALSE(back.energy_joules());
  EXPECT_FALSE(back.cost());
  EXPECT_FALSE(back.cost_per_second());
}

TEST_F(RunRecordFile, SaysWhenItWasWritten) {
  RunRecord record = sample();
  record.written.clear();
  const std::string written = there_and_back(record).written;
  EXPECT_EQ(written.size(), std::string("2026-11-27T01:02:03Z").size()) << written;
  EXPECT_TRUE(written.starts_with("20") && written.ends_with("Z")) << written;
}

TEST(RunRecordFigures, FollowFromTheRanks) {
  RunRecord r = sample();
  EXPECT_EQ(r.wall_seconds(), 20);
  EXPECT_EQ(r.busy_seconds(), 18);                // rank 0 loads for 2 s, rank 1 not at all
  EXPECT_EQ(r.stage_seconds(Stage::denoise), 9);  // 10 s with 1 s of exchange inside
  EXPECT_EQ(r.stage_seconds(Stage::exchange), 1);
  EXPECT_EQ(r.config_value("seed"), "18446744073709551615");
  EXPECT_EQ(r.config_value("nothing"), "");
  EXPECT_EQ(*r.energy_joules(), 4000);
  r.ranks[1].energy_joules.reset();
  EXPECT_FALSE(r.energy_joules()) << "half of the energy is not the energy";
  // In a batch the encoder's last seconds are not the GPUs'.
  EXPECT_EQ(r.held_seconds(), 14);
  EXPECT_DOUBLE_EQ(*r.cost(), 2.5 * 2 * 14 / 3600);
  r.command = "render";
  EXPECT_EQ(r.held_seconds(), 20);
  // 2.5 per GPU-hour, two GPUs, 20 s; 17 frames at 10.5 a second.
  EXPECT_DOUBLE_EQ(*r.cost(), 2.5 * 2 * 20 / 3600);
  EXPECT_DOUBLE_EQ(*r.cost_per_second(), 2.5 * 2 * 20 / 3600 / (17 / 10.5));
}

// Written by weft of 2026-11-27, before schema 2: two ranks, a window each.
TEST_F(RunRecordFile, ReadsSchemaOne) {
  const RunRecord r = read_run_record(fs::path(WEFT_TEST_DATA) / "run/data/schema1.record.h5");
  EXPECT_EQ(r.schema, 1);
  EXPECT_EQ(r.weft_version, "0.1.0");
  EXPECT_EQ(r.command, "");
  EXPECT_EQ(r.config_value("prompt"), "a red balloon");
  EXPECT_EQ(r.config_value("seed"), "18446744073709551615");
  EXPECT_EQ(r.width, 128);
  EXPECT_EQ(r.frames, 9);
  EXPECT_EQ(r.steps, 2);
  EXPECT_EQ(r.model, "tiny-wan21");
  EXPECT_EQ(r.model_files.size(), 3U);
  EXPECT_EQ(r.model_files.at(0).hash, "");
  EXPECT_EQ(r.windows.size(), r.owner.size());
  EXPECT_EQ(r.pieces.size(), 3U);
  EXPECT_EQ(r.piece_owner, (std::vector<int>{0, 1, 0}));
  ASSERT_EQ(r.ranks.size(), 2U);
  EXPECT_EQ(r.ranks[1].host, "node1");
  EXPECT_FALSE(r.ranks[0].energy_joules);
  EXPECT_GT(r.stage_seconds(Stage::decode), 0);
  EXPECT_EQ(r.ranks[0].spans.front().step, -1);
  EXPECT_EQ(r.frames_made, 9);
  EXPECT_TRUE(r.seams.cols);
  EXPECT_FALSE(r.seams.rows);
}

TEST_F(RunRecordFile, OtherFilesAreRefused) {
  std::ofstream(path_) << "no HDF5";
  EXPECT_NE(complaint_of(path_).find("not a whole HDF5 file"), std::string::npos);
  Hdf5Writer other(path_);
  other.attribute("/", "schema", std::int64_t{1});
  other.commit();
  EXPECT_NE(complaint_of(path_).find("not a run record"), std::string::npos);
  EXPECT_NE(complaint_of(path_).find(path_.string()), std::string::npos);
}

TEST_F(RunRecordFile, ANewerSchemaIsNamed) {
  Hdf5Writer newer(path_);
  newer.attribute("/", "schema", std::int64_t{3});
  newer.attribute("/stages", "x", std::int64_t{3});
  newer.attribute("/ranks", "x", std::int64_t{3});
  newer.commit();
  EXPECT_NE(complaint_of(path_).find("schema 3"), std::string::npos) << complaint_of(path_);
}

TEST_F(RunRecordFile, ContradictionsAreNamed) {
  struct Case {
    const char* where;
    void (*spoil)(RunRecord&);
  };
  const Case cases[] = {
      {"/plan/owner", [](RunRecord& r) { r.owner[1] = 1; }},
      {"/plan/owner", [](RunRecord& r) { r.owner.pop_back(); }},
      {"/plan/piece_owner", [](RunRecord& r) { r.piece_owner[0] = 2; }},
      {"/plan/windows",
       [](RunRecord& r) {
         r.windows[0].axis[1] = {8, 0};
       }},
      {"/plan ulysses", [](RunRecord& r) { r.grid.ulysses = 0; }},
      {"/plan", [](RunRecord& r) { r.grid.ulysses = 2; }},
      {"/plan/flops", [](RunRecord& r) { r.flops[0] = -1; }},
      {"/config/resolved steps", [](RunRecord& r) { r.steps = 0; }},
      {"/model/files/bytes", [](RunRecord& r) { r.model_files[0].bytes = -1; }},
      {"/ranks/host", [](RunRecord& r) { r.ranks.clear(); }},
      {"/ranks/threads", [](RunRecord& r) { r.ranks[0].threads = 0; }},
      {"/ranks/wall_seconds", [](RunRecord& r) { r.ranks[0].wall_seconds = 0.0 / 0.0; }},
      {"/ranks/energy_joules", [](RunRecord& r) { r.ranks[0].energy_joules = -1; }},
      {"/spans/0", [](RunRecord& r) { r.ranks[0].spans[0].end = 0; }},
      {"/spans/0", [](RunRecord& r) { r.ranks[0].spans[0].step = -2; }},
      {"/spans/1", [](RunRecord& r) { r.ranks[1].rank = 2; }},
      {"/result warping_error", [](RunRecord& r) { r.warping_error = -0.5; }},
  };
  for (const Case& c : cases) {
    RunRecord record = sample();
    c.spoil(record);
    const std::string text = complaint(record);
    EXPECT_NE(text.find(path_.string() + ": "), std::string::npos) << c.where << ": " << text;
    EXPECT_NE(text.find(c.where), std::string::npos) << c.where << ": " << text;
  }
}

// Whatever byte changes, reading either says so or gives the same values.
TEST_F(RunRecordFile, NoDamagePassesUnseen) {
  const RunRecord record = sample();
  write_run_record(path_, record);
  std::ifstream in(path_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); at += 11) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    std::ofstream(path_, std::ios::binary) << bytes;
    try {
      expect_equal(record, read_run_record(path_));
    } catch (const InputError& e) {
      ++refused;
      EXPECT_NE(std::string(e.what()).find(path_.string()), std::string::npos) << e.what();
    }
    if (HasFailure()) FAIL() << "byte " << at;
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace weft
