// What `weft plan` says of a model of the true size on many GPUs.
#include <sstream>

#include <gtest/gtest.h>

#include "weft/render/plan.h"

namespace weft {
namespace {

ModelFolder model_1_3b() {
  ModelFolder m;
  m.name = "wan2.1-1.3b";
  m.native_size = {{832, 480, 81}};
  m.transformer.heads = 12;
  m.transformer.head_dim = 128;
  m.transformer.layers = 30;
  m.transformer.ffn_dim = 8960;
  return m;
}

Clip clip_of(const ModelFolder& model, std::int64_t width = 0) {
  Clip clip;
  Problems problems;
  set_size(clip, {width, 0, 0}, model, problems);
  set_window(clip, {}, 0.25, model, problems);
  EXPECT_TRUE(problems.empty());
  clip.steps = 50;
  clip.guidance_scale = clip.guidance_scale_2 = 5;
  return clip;
}

std::string text_of(int ranks, Machine machine, std::int64_t width = 0) {
  const ModelFolder model = model_1_3b();
  const Clip clip = clip_of(model, width);
  const std::string text =
      describe(make_render_plan(clip, model, ranks, machine), clip, model, machine);
  if (const char* wanted = std::getenv("WEFT_SHOW_PLANS"); wanted != nullptr)
    std::puts(text.c_str());
  return text;
}

const Machine h200s{
    .device = DeviceKind::cuda, .precision = Precision::bf16, .ranks_per_node = 8, .parallel = {}};

/// Numbers of the row of so many ranks, its grid left out; {} when there is no such row.
std::vector<double> row_of(const std::string& text, int ranks) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::string begin = fmt::format("{:>7}  ", ranks);
    if (!line.starts_with(begin) || line.find(" group") == std::string::npos) continue;
    std::istringstream rest(line.substr(line.find("ring")));
    std::string word;
    rest >> word >> word;
    std::vector<double> numbers;
    for (double n = 0; rest >> n;) numbers.push_back(n);
    return numbers;
  }
  return {};
}

TEST(PlanText, ATableOfRanksUpToThePlans) {
  const std::string text = text_of(64, h200s);
  double before = 0;
  for (const int ranks : {1, 2, 4, 8, 16, 32, 64}) {
    const auto row = row_of(text, ranks);  // step, whole, speed-up, exchange in percent
    ASSERT_EQ(row.size(), 4U) << ranks << " ranks in\n" << text;
    EXPECT_GE(row[2], before) << text;
    EXPECT_LE(row[2], ranks + 0.005);
    before = row[2];
  }
  EXPECT_NEAR(row_of(text, 1)[0], 0.85, 0.01);
  EXPECT_NEAR(row_of(text, 2)[2], 1.97, 0.03);
  EXPECT_TRUE(row_of(text, 3).empty());
  EXPECT_EQ(row_of(text_of(6, h200s), 6).size(), 4U);  // the plan's own ranks are the last row
  EXPECT_TRUE(row_of(text_of(1, h200s), 1).empty());   // nothing to compare
}

TEST(PlanText, SaysWhatIsAssumed) {
  const std::string text = text_of(64, h200s);
  for (const char* part :
       {"665 TFLOP/s per rank", "235 GB/s sent per rank, 20 us per exchange", "assumed: NVLink",
        "45 GB/s sent per rank", "assumed: 400 Gb/s per GPU", "nodes of 8 ranks", "left out:"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(text.find("measured"), std::string::npos);
}

TEST(PlanText, SaysWhatWasMeasuredAndPredictsByIt) {
  Machine machine = h200s;
  machine.network = MeasuredNetwork{.source = "net.json, 2026-11-27, 4 ranks of 2 hosts",
                                    .node = LinkSpeed{50e-6, 1e9, 0.25},
                                    .network = {},
                                    .flops = {}};
  const std::string text = text_of(16, machine);
  EXPECT_NE(text.find("1 GB/s sent per rank, 50 us per exchange"), std::string::npos) << text;
  EXPECT_NE(text.find("measured: net.json, 2026-11-27, 4 ranks of 2 hosts (to 25 %)"),
            std::string::npos);
  EXPECT_NE(text.find("assumed: 400 Gb/s"), std::string::npos);
  EXPECT_LT(row_of(text, 16)[2], 0.6 * row_of(text_of(16, h200s), 16)[2]);
}

TEST(PlanText, WindowsCountWhatTheySend) {
  const std::string text = text_of(4, h200s, 3328);
  EXPECT_GT(row_of(text, 4)[3], 0) << text;
  Machine slow = h200s;
  slow.network =
      MeasuredNetwork{.source = "a file", .node = LinkSpeed{0, 1e7, 0}, .network = {}, .flops = {}};
  EXPECT_GT(row_of(text_of(4, slow, 3328), 4)[3], 10);
}

}  // namespace
}  // namespace weft
