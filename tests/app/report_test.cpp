// weft report as a user runs it.
#include <gtest/gtest.h>

#include "program.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A small clip and its record, FOLDER/nRANKS.mp4.
void render(const fs::path& folder, int ranks) {
  const Outcome ran =
      run_weft({"render", "--model", golden_model("tiny-wan21"), "--prompt", "a <kite> & \"sea\"",
                "--width", "64", "--height", "64", "--frames", "9", "--steps", "3", "--threads",
                "1", "-o", (folder / ("n" + std::to_string(ranks) + ".mp4")).string()},
               ranks);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
}

TEST(ReportCommand, MakesPageFiguresTablesAndTraceOfAFolder) {
  const TempFolder folder;
  for (const int ranks : {1, 2}) render(folder.path(), ranks);
  const fs::path out = folder.path() / "out";
  fs::create_directory(out);
  const Outcome ran = run_weft({"report", folder.path().string(), "-o", (out / "r.html").string(),
                                "--svg", (out / "svg").string(), "--csv", (out / "csv").string(),
                                "--trace", (out / "trace.json").string()});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  const std::string page = read_file(out / "r.html");
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(holds(page, "a &lt;kite&gt; &amp; &quot;sea&quot;"));
  EXPECT_TRUE(holds(page, "data:image/png;base64,"));
  EXPECT_TRUE(holds(page, "mpirun -n 2 weft render"));
  EXPECT_TRUE(holds(read_file(out / "svg" / "speedup.svg"), "</svg>"));
  EXPECT_TRUE(holds(read_file(out / "csv" / "points.csv"), "whole,2,1,"));
  EXPECT_TRUE(holds(read_file(out / "trace.json"), "\"name\":\"denoise\",\"ph\":\"X\""));
}

TEST(ReportCommand, OfOneRecordIsAboutThatRun) {
  const TempFolder folder;
  render(folder.path(), 2);
  const fs::path page = folder.path() / "r.html";
  const Outcome ran =
      run_weft({"report", (folder.path() / "n2.record.h5").string(), "-o", page.string()});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(holds(read_file(page), "Timeline, 2 ranks"));
  EXPECT_FALSE(holds(read_file(page), "Karp"));
}

TEST(ReportCommand, TellsEveryProblemAndWritesNothing) {
  const TempFolder folder;
  std::ofstream(folder.path() / "text.h5") << "no record";
  fs::create_directory(folder.path() / "empty");
  const std::string at = folder.path().string();
  const Outcome ran = run_weft({"report", at + "/absent.h5", at + "/text.h5", at + "/empty", "-o",
                                at + "/no/r.html", "--csv", at + "/text.h5", "--frobnicate"});
  EXPECT_EQ(ran.exit_code, 2);
  for (const char* part : {"absent.h5: no such file", "text.h5", "no run record in it",
                           "there is no folder", "text.h5 is a file", "--frobnicate"}) {
    EXPECT_TRUE(holds(ran.err, part)) << part << " in\n" << ran.err;
  }
  EXPECT_EQ(run_weft({"report"}).exit_code, 2);
  EXPECT_TRUE(holds(run_weft({"report", at}).err, "nothing to write"));
}

TEST(ReportCommand, WarnsOfADamagedRecordAmongGoodOnes) {
  const TempFolder folder;
  render(folder.path(), 1);
  std::ofstream(folder.path() / "bad.record.h5") << "no record";
  const fs::path page = folder.path() / "r.html";
  const Outcome ran = run_weft({"report", folder.path().string(), "-o", page.string()});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(holds(ran.err, "warning: ")) << ran.err;
  EXPECT_TRUE(holds(ran.err, "bad.record.h5")) << ran.err;
  EXPECT_TRUE(holds(read_file(page), "bad.record.h5"));
}

TEST(ReportCommand, AFullDiskIsAnErrorAndLeavesNoHalfPage) {
  const TempFolder folder;
  render(folder.path(), 1);
  const std::string full = (folder.path() / "full").string();
  fs::create_directory(full);
  const Outcome ran =
      run_weft({"report", (folder.path() / "n1.record.h5").string(), "-o", full + "/r.html"}, 0,
               "mount -t tmpfs -o size=16k none " + shell_word(full) + " && ",
               "; code=$?; ls -A " + shell_word(full) + "; exit $code");
  if (holds(ran.err, "unshare") || holds(ran.err, "mount:"))
    GTEST_SKIP() << "needs mount: " << ran.err;
  EXPECT_EQ(ran.exit_code, 1) << ran.err;
  EXPECT_TRUE(holds(ran.err, "cannot write")) << ran.err;
  EXPECT_EQ(ran.out, "");
}

}  // namespace
}  // namespace weft::test
