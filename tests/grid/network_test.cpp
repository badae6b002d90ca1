#include "weft/grid/network.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace weft {
namespace {

std::vector<TransferTime> times_of(const LinkSpeed& link, double noise = 0) {
  std::mt19937 engine(7);
  std::uniform_real_distribution<double> error(-noise, noise);
  std::vector<TransferTime> times;
  for (double bytes = 65536; bytes <= 536870912; bytes *= 2) {
    times.push_back({bytes, (link.latency + bytes / link.bandwidth) * (1 + error(engine))});
  }
  return times;
}

TEST(FitLink, RecoversLatencyAndBandwidth) {
  for (const LinkSpeed& link : {LinkSpeed{35e-6, 2.85e11, 0}, LinkSpeed{1e-6, 1e9, 0}}) {
    const auto fit = fit_link(times_of(link));
    ASSERT_TRUE(fit);
    EXPECT_NEAR(fit->latency / link.latency, 1, 1e-6);
    EXPECT_NEAR(fit->bandwidth / link.bandwidth, 1, 1e-9);
    EXPECT_LT(fit->error, 1e-9);
  }
}

// Small sizes count as much as large ones: in absolute residuals the latency of 35 us would drown
// in 2 % of the milliseconds that the largest take.
TEST(FitLink, RecoversBothFromNoisyTimes) {
  const LinkSpeed link{35e-6, 2.85e11, 0};
  const auto fit = fit_link(times_of(link, 0.02));
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->latency / link.latency, 1, 0.02);
  EXPECT_NEAR(fit->bandwidth / link.bandwidth, 1, 0.02);
  EXPECT_GT(fit->error, 0.002);
  EXPECT_LT(fit->error, 0.02);
}

TEST(FitLink, ALatencyIsNeverNegative) {
  // Larger messages are slower per byte.
  const std::vector<TransferTime> times{{1e6, 1e-4}, {1e7, 2e-3}};
  const auto fit = fit_link(times);
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->latency, 0);
  EXPECT_GT(fit->bandwidth, 5e9);
  EXPECT_LT(fit->bandwidth, 1e10);
}

TEST(FitLink, OneSizeGivesABandwidth) {
  const auto fit = fit_link(std::vector<TransferTime>{{1e6, 1e-3}, {1e6, 1e-3}});
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->latency, 0);
  EXPECT_NEAR(fit->bandwidth, 1e9, 1);
}

TEST(FitLink, RefusesWhatIsNoMeasurement) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(fit_link({}));
  for (const TransferTime& wrong :
       {TransferTime{0, 1}, TransferTime{1, 0}, TransferTime{1, nan}, TransferTime{-1, 1}}) {
    EXPECT_FALSE(fit_link(std::vector<TransferTime>{{1e6, 1e-3}, wrong}));
  }
  // Ten times the bytes in half the time.
  EXPECT_FALSE(fit_link(std::vector<TransferTime>{{1e6, 1e-3}, {1e7, 5e-4}}));
}

TEST(WithNetwork, ReplacesWhatWasMeasuredAndKeepsTheRest) {
  const MachineSpeed assumed = gpu_speed(false);
  MeasuredNetwork measured;
  measured.node = LinkSpeed{1e-6, 2e9, 0};
  MachineSpeed speed = with_network(assumed, measured);
  EXPECT_EQ(speed.latency, 1e-6);
  EXPECT_EQ(speed.node_bytes, 2e9);
  EXPECT_EQ(speed.network_bytes, assumed.network_bytes);
  EXPECT_EQ(speed.network_latency, assumed.network_latency);
  EXPECT_EQ(speed.flops, assumed.flops);
  measured.network = LinkSpeed{3e-6, 4e9, 0};
  measured.flops = 5e12;
  speed = with_network(assumed, measured);
  EXPECT_EQ(speed.network_latency, 3e-6);
  EXPECT_EQ(speed.network_bytes, 4e9);
  EXPECT_EQ(speed.flops, 5e12);
}

}  // namespace
}  // namespace weft
