#include "weft/scaling/trace.h"

#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "made_record.h"

namespace weft {
namespace {

using nlohmann::json;

std::vector<json> events_of(const json& trace, const std::string& phase) {
  std::vector<json> events;
  for (const json& e : trace) {
    if (e.at("ph") == phase) events.push_back(e);
  }
  return events;
}

TEST(Trace, HasEverySpanOnItsRankWithItsFigures) {
  const RunRecord record = test::made_record(3);
  const json trace = json::parse(trace_json({record}));
  ASSERT_TRUE(trace.is_array());
  const auto spans = events_of(trace, "X");
  std::size_t wanted = 0;
  for (const RankReport& r : record.ranks) wanted += r.spans.size();
  EXPECT_EQ(spans.size(), wanted);
  std::map<std::string, double> seconds;
  std::int64_t bytes = 0;
  for (const json& e : spans) {
    if (e.at("pid") != 1) continue;
    seconds[e.at("name")] += e.at("dur").get<double>() / 1e6;
    bytes += e.at("args").value("bytes", std::int64_t{0});
    if (e.at("name") == "denoise") {
      EXPECT_EQ(e.at("args").at("flops"), 1e9);
      EXPECT_GE(e.at("args").at("step"), 0);
    }
  }
  EXPECT_NEAR(seconds["exchange"], 4 * 0.125, 1e-6);
  EXPECT_NEAR(seconds["decode"], 2.0 / 3, 1e-6);
  EXPECT_EQ(bytes, 4000);
}

TEST(Trace, NamesProcessesAfterRanksAndHosts) {
  const json trace = json::parse(trace_json({test::made_record(5)}));
  std::map<int, std::string> names;
  for (const json& e : events_of(trace, "M")) {
    if (e.at("name") == "process_name") names[e.at("pid")] = e.at("args").at("name");
  }
  EXPECT_EQ(names.size(), 5U);
  EXPECT_EQ(names[3], "rank 3 (node0)");
  EXPECT_EQ(names[4], "rank 4 (node1)");
}

/// Spans of one thread must nest, or a viewer draws nonsense.
void expect_nested(const json& trace) {
  std::map<std::pair<int, int>, std::vector<std::pair<double, double>>> threads;
  for (const json& e : events_of(trace, "X")) {
    const double begin = e.at("ts");
    threads[{e.at("pid"), e.at("tid")}].emplace_back(begin, begin + e.at("dur").get<double>());
  }
  for (const auto& [thread, spans] : threads) {
    for (const auto& a : spans) {
      for (const auto& b : spans) {
        const bool crossing =
            a.first < b.first && b.first < a.second - 1e-4 && a.second + 1e-4 < b.second;
        EXPECT_FALSE(crossing) << a.first << " " << a.second << " " << b.first << " " << b.second;
      }
    }
  }
}

TEST(Trace, SpansOfAThreadNest) { expect_nested(json::parse(trace_json({test::made_record(2)}))); }

TEST(Trace, ASpanThatWouldNotNestGetsAThreadOfItsOwn) {
  RunRecord record = test::made_record(1);
  record.ranks[0].spans = {
      {Stage::decode, 0, 2}, {Stage::encode_video, 1, 3}, {Stage::wait, 1.5, 2}};
  const json trace = json::parse(trace_json({record}));
  expect_nested(trace);
  std::map<std::string, int> thread;
  for (const json& e : events_of(trace, "X")) thread[e.at("name")] = e.at("tid");
  EXPECT_NE(thread["decode"], thread["encode_video"]);
}

TEST(Trace, SeveralRecordsDoNotShareProcesses) {
  const json trace =
      json::parse(trace_json({test::made_record(2, "a \"b\" 红"), test::made_record(12)}));
  std::map<int, std::string> names;
  for (const json& e : events_of(trace, "M")) {
    if (e.at("name") == "process_name") names[e.at("pid")] = e.at("args").at("name");
  }
  EXPECT_EQ(names.size(), 14U);
  EXPECT_EQ(names[1], "a \"b\" 红.record.h5, rank 1 (node0)");
  EXPECT_EQ(names[101], "clip.record.h5, rank 1 (node0)");
}

TEST(Trace, OfNothingIsAnEmptyArray) { EXPECT_TRUE(json::parse(trace_json({})).empty()); }

}  // namespace
}  // namespace weft
