#include "weft/run/network_file.h"

#include <fstream>

#include <gtest/gtest.h>

#include "weft/base/error.h"

#include "support/temp_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

RepeatedTime around(double seconds) { return {seconds, seconds * 0.9, seconds * 1.2}; }

/// Two hosts of two ranks whose all-to-alls take 10 us + bytes / 4 GB/s within a host and 30 us +
/// bytes / 1 GB/s between them; the other patterns are slower.
NetworkReport sample() {
  NetworkReport report{.date = "2026-11-27T10:00:00Z",
                       .device = DeviceKind::cuda,
                       .device_name = "a GPU",
                       .transport = "NCCL 2.28.3",
                       .mpi = "an MPI",
                       .hosts = map_hosts({"a", "a", "b", "b"}),
                       .options = {},
                       .bench = {},
                       .forward_speed = 6.5e14};
  for (const NetworkScope scope : {NetworkScope::node, NetworkScope::network, NetworkScope::all}) {
    for (const NetworkPattern pattern : network_patterns) {
      for (std::int64_t bytes = 65536; bytes <= 16777216; bytes *= 4) {
        NetworkRow row{.scope = scope,
                       .pattern = pattern,
                       .ranks = scope == NetworkScope::all ? 4 : 2,
                       .groups = scope == NetworkScope::all ? 1 : 2,
                       .bytes = bytes,
                       .iterations = 1};
        const double slow = pattern == NetworkPattern::all_to_all ? 1 : 7;
        row.seconds = around(scope == NetworkScope::node ? slow * (10e-6 + row.sent() / 4e9)
                                                         : slow * (30e-6 + row.sent() / 1e9));
        report.bench.rows.push_back(row);
      }
    }
  }
  report.bench.latencies.push_back({.scope = NetworkScope::node,
                                    .path = "mpi",
                                    .pairs = 2,
                                    .seconds = around(1e-6),
                                    .slowest = {2, 3}});
  return report;
}

class NetworkFile : public testing::Test {
 protected:
  std::string written(const NetworkReport& report) {
    write_network_file(path_, report);
    return read_network_text(path_);
  }
  void expect_refused(const std::string& text, const std::string& why,
                      DeviceKind device = DeviceKind::cuda) {
    try {
      static_cast<void>(network_figures(text, path_, device));
      FAIL() << "expected: " << why;
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find(path_.string()), std::string::npos) << e.what();
    }
  }
  static std::string replaced(std::string text, const std::string& what, const std::string& by) {
    const auto at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
  }
  test::TempFolder folder_;
  fs::path path_ = folder_.path() / "network.json";
};

TEST_F(NetworkFile, GivesBackTheFiguresOfTheAllToAll) {
  const MeasuredNetwork made = network_figures(written(sample()), path_, DeviceKind::cuda);
  ASSERT_TRUE(made.node && made.network && made.flops);
  EXPECT_NEAR(made.node->latency, 10e-6, 1e-9);
  EXPECT_NEAR(made.node->bandwidth, 4e9, 1e3);
  EXPECT_NEAR(made.node->error, 0, 1e-6);
  EXPECT_NEAR(made.network->latency, 30e-6, 1e-9);
  EXPECT_NEAR(made.network->bandwidth, 1e9, 1e3);
  EXPECT_EQ(*made.flops, 6.5e14);
  EXPECT_EQ(made.source, "network.json, 2026-11-27, 4 ranks of 2 hosts");
}

TEST_F(NetworkFile, OneHostSaysNothingOfTheNetwork) {
  NetworkReport report = sample();
  report.hosts = map_hosts({"a", "a", "a", "a"});
  report.forward_speed.reset();
  std::erase_if(report.bench.rows,
                [](const NetworkRow& row) { return row.scope != NetworkScope::node; });
  const MeasuredNetwork made = network_figures(written(report), path_, DeviceKind::cuda);
  EXPECT_TRUE(made.node);
  EXPECT_FALSE(made.network || made.flops);
  EXPECT_EQ(made.source, "network.json, 2026-11-27, 4 ranks of 1 host");
}

TEST_F(NetworkFile, OtherDevicesFiguresAreRefused) {
  expect_refused(written(sample()), "computes on cpu", DeviceKind::cpu);
}

TEST_F(NetworkFile, DamageIsTold) {
  const std::string text = written(sample());
  expect_refused("", "not a network file");
  expect_refused("[1, 2]", "not a network file");
  expect_refused("{\"format\": 3}", "not a network file");
  expect_refused(text.substr(0, text.size() / 2), "not a network file");
  expect_refused(std::string(100'000, '['), "not a network file");
  expect_refused(replaced(text, "\"version\": 1", "\"version\": 2"), "of version 2");
  expect_refused(replaced(text, "\"bandwidth\": ", "\"bandwidth\": -"), "\"bandwidth\" is -");
  expect_refused(replaced(text, "\"bandwidth\": ", "\"bandwidth\": 1e-300, \"x\": "),
                 "\"bandwidth\" is 1e-300");
  expect_refused(replaced(text, "\"latency\": ", "\"latency\": \"short\", \"x\": "),
                 "\"latency\" is not a number");
  expect_refused(replaced(text, "\"latency\": ", "\"lateness\": "), "\"latency\" is missing");
  expect_refused(replaced(text, "\"error\": ", "\"mistake\": "), "\"error\" is missing");
  expect_refused(replaced(text, "\"flops\": ", "\"flops\": -"), "\"flops\" is -");
  expect_refused(replaced(text, "\"figures\": {", "\"figures\": {}, \"x\": {"), "no figures");
  expect_refused(replaced(text, "\"ranks\": 4", "\"ranks\": 1e999"), "");
  expect_refused(replaced(text, "\"date\": \"2026", "\"date\": null, \"x\": \"2026"),
                 "\"date\" is not text");
}

TEST_F(NetworkFile, NoFileOrFarTooLargeAOne) {
  EXPECT_THROW(static_cast<void>(read_network_text(path_)), InputError);
  EXPECT_THROW(static_cast<void>(read_network_text(folder_.path())), InputError);
  std::ofstream(path_) << std::string(5'000'000, ' ');
  EXPECT_THROW(static_cast<void>(read_network_text(path_)), InputError);
}

}  // namespace
}  // namespace weft
