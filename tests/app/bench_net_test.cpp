// weft bench-net under mpirun, and plans that read its file.
#include <gtest/gtest.h>

#include "program.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "no \"" << part << "\" in:\n" << text;
}

class BenchNet : public testing::Test {
 protected:
  std::string path(const std::string& name) { return (folder_.path() / name).string(); }
  Outcome bench(const Words& more, int ranks = 2) {
    Words words{"bench-net", "--device", "cpu", "--sizes", "4k,1M,256k", "--repeats", "3"};
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words, ranks);
  }
  Outcome plan(const Words& more) {
    Words words{"plan",     "--model",  golden_model("tiny-wan21"),
                "--width",  "256",      "--height",
                "64",       "--frames", "17",
                "--window", "64x64x9",  "--ranks",
                "8",        "--device", "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words);
  }
  TempFolder folder_;
};

TEST_F(BenchNet, MeasuresAndPlansReadIt) {
  const std::string file = path("net.json");
  const Outcome ran = bench({"-o", file, "--forward-speed", "7.5e10"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  for (const char* part : {"Latency: half the time", "mpi", "link", "all-to-all", "halo", "ring",
                           "4 kB", "256 kB", "1 MB", "(n - 1) / n", "Fit: time", "for plans"}) {
    expect_part(ran.out, part);
  }
  EXPECT_LT(ran.out.find("4 kB"), ran.out.find("256 kB")) << "sizes rise";
  const std::string text = read_file(file);
  for (const char* part : {"\"format\": \"weft network\"", "\"bus_bandwidth\"", "\"hosts\"",
                           "\"figures\"", "\"flops\": 75000000000.0"}) {
    expect_part(text, part);
  }

  const Outcome assumed = plan({}), measured = plan({"--network", file});
  ASSERT_EQ(assumed.exit_code, 0) << assumed.err;
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  expect_part(assumed.out, "assumed: ranks meet in memory");
  EXPECT_EQ(assumed.out.find("measured"), std::string::npos);
  expect_part(measured.out, "measured: net.json, 20");
  expect_part(measured.out, ", 2 ranks of 1 host");
  expect_part(measured.out, "75 GFLOP/s per rank");
  expect_part(measured.out, "given: net.json");
  expect_part(measured.out, "assumed: 10 Gb/s Ethernet");  // one host says nothing of it
}

TEST_F(BenchNet, ThreeRanks) {
  const Outcome ran = bench({"--sizes", "1k"}, 3);
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  expect_part(ran.out, "ranks      3 on 1 host");
}

TEST_F(BenchNet, OneRankIsTooFew) {
  const Outcome ran = bench({"-o", path("net.json")}, 0);
  EXPECT_EQ(ran.exit_code, 2);
  expect_part(ran.err, "mpirun -n 2");
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(BenchNet, BadOptionsAllAtOnce) {
  const Outcome ran = bench({"--sizes", "4k,many", "--repeats", "0", "--device", "gpu", "-o",
                             path("no/net.json"), "--forward-speed", "fast", "--repeets", "3"});
  EXPECT_EQ(ran.exit_code, 2);
  for (const char* part : {"sizes: \"many\"", "repeats: 0", "device: \"gpu\"", "forward-speed",
                           "output: ", "--repeets", "--repeats"}) {
    expect_part(ran.err, part);
  }
  const Outcome tiny = bench({"--sizes", "1"});
  EXPECT_EQ(tiny.exit_code, 2);
  expect_part(tiny.err, "none of 1 can be measured");
}

TEST_F(BenchNet, DryRunMeasuresAndWritesNothing) {
  const Outcome ran = bench({"--dry-run", "-o", path("net.json"), "--sizes", "4k,900G"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  expect_part(ran.out, "left out   900 GB");
  expect_part(ran.out, "sizes      4 kB");
  EXPECT_EQ(ran.out.find("median"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(BenchNet, PlansRefuseFilesThatAreNone) {
  const Outcome none = plan({"--network", path("net.json")});
  EXPECT_EQ(none.exit_code, 2);
  expect_part(none.err, "network: ");
  expect_part(none.err, "no such file");
  std::ofstream(path("net.json")) << "{\"format\": \"weft network\", \"version\": 1}";
  const Outcome damaged = plan({"--network", path("net.json")});
  EXPECT_EQ(damaged.exit_code, 2);
  expect_part(damaged.err, "\"device\" is missing");
  std::ofstream(path("net.json")) << "{\"format\": \"weft network\", \"version\": 1, "
                                     "\"device\": \"cuda\"}";
  const Outcome other = plan({"--network", path("net.json")});
  EXPECT_EQ(other.exit_code, 2);
  expect_part(other.err, "measured between ranks on cuda");
}

// Every rank plans by what rank 0 has read; the picture does not depend on it.
TEST_F(BenchNet, RendersReadItToo) {
  ASSERT_EQ(bench({"-o", path("net.json")}).exit_code, 0);
  const auto render = [&](const Words& more) {
    Words words{"render",   "--model",  golden_model("tiny-wan21"),
                "--prompt", "a kite",   "--width",
                "96",       "--height", "64",
                "--frames", "5",        "--steps",
                "2",        "--record", "none",
                "--quiet",  "-o",       path("clip.y4m")};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome ran = run_weft(words, 2);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return read_file(path("clip.y4m"));
  };
  const std::string without = render({});
  EXPECT_TRUE(render({"--network", path("net.json")}) == without);
}

TEST_F(BenchNet, PlansTellRanksPerNodeAndATable) {
  const Outcome ran = plan({"--ranks-per-node", "2"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  expect_part(ran.out, "nodes of 2 ranks");
  for (const char* part : {"\n      1  1 group", "\n      2  ", "\n      4  ", "\n      8  "}) {
    expect_part(ran.out, part);
  }
  EXPECT_EQ(plan({"--ranks-per-node", "0"}).exit_code, 2);
}

}  // namespace
}  // namespace weft::test
