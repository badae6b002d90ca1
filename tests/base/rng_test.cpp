#include "weft/base/rng.h"

#include <array>
#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "weft/io/safetensors.h"

namespace weft {
namespace {

// torch and libm may each round log, sqrt and cos of a float their own way: a few units in the last
// place of values up to 5.
constexpr float libm_rounding = 2e-6F;

// The golden file holds torch.randn(n) of a CPU generator: cpu.seed42.n1000.
TEST(TorchRandn, MatchesTorch) {
  const SafetensorsFile golden(std::string(WEFT_TEST_DATA) + "/golden/torch_randn.safetensors");
  int compared = 0;
  for (const auto& [name, stored] : golden.tensors()) {
    ASSERT_TRUE(name.starts_with("cpu.seed")) << name;
    const std::uint64_t seed = std::stoull(name.substr(8));
    const std::int64_t n = std::stoll(name.substr(name.find(".n") + 2));
    ASSERT_EQ(stored.shape, Shape{n}) << name;
    std::vector<float> expected(static_cast<std::size_t>(n));
    convert_to_f32(stored, expected.data());

    const std::vector<float> drawn = torch_randn(seed, n);
    ASSERT_EQ(drawn.size(), expected.size()) << name;
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      EXPECT_NEAR(drawn[i], expected[i], libm_rounding) << name << " element " << i;
    }
    ++compared;
  }
  EXPECT_GE(compared, 14);  // both seeds; n on both sides of 16 and of its multiples
}

TEST(TorchRandn, UsesTheLowHalfOfTheSeedAsTorchDoes) {
  EXPECT_EQ(torch_randn(7, 20), torch_randn(7 + (1ULL << 32), 20));
  EXPECT_NE(torch_randn(7, 20), torch_randn(8, 20));
}

// kat_vectors of the Random123 library (Salmon et al., SC'11).
TEST(Philox, KnownAnswers) {
  struct Case {
    std::array<std::uint32_t, 4> counter;
    std::array<std::uint32_t, 2> key;
    std::array<std::uint32_t, 4> words;
  };
  constexpr std::uint32_t ones = 0xffffffff;
  const std::vector<Case> cases{
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{ones, ones, ones, ones}, {ones, ones}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const Case& c : cases) EXPECT_EQ(philox4x32(c.counter, c.key), c.words);
}

TEST(PhiloxRandn, DoesNotDependOnWhereARangeIsSplit) {
  constexpr std::int64_t first = 6;  // inside a block of four
  std::vector<float> whole(37);
  philox_randn(99, first, whole);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    std::vector<float> parts(whole.size());
    const std::span<float> all(parts);
    philox_randn(99, first, all.first(cut));
    philox_randn(99, first + static_cast<std::int64_t>(cut), all.subspan(cut));
    EXPECT_EQ(parts, whole) << "cut at " << cut;
  }
}

TEST(PhiloxRandn, SeedsAndFarPositionsDiffer) {
  const auto draw = [](std::uint64_t seed, std::int64_t first) {
    std::vector<float> out(8);
    philox_randn(seed, first, out);
    return out;
  };
  EXPECT_NE(draw(1, 0), draw(2, 0));
  EXPECT_NE(draw(1, 0), draw(1 + (1ULL << 32), 0));       // both halves of the seed count
  EXPECT_NE(draw(1, 0), draw(1, std::int64_t{1} << 34));  // and both words of the counter
}

// Of n = 2^20 unit normals the mean has a standard deviation of 1e-3, the variance 1.4e-3, the
// third moment 3.8e-3, the fourth 9.6e-3: bounds are five of those. Neighbours are uncorrelated.
TEST(PhiloxRandn, MomentsAreThoseOfAUnitNormal) {
  std::vector<float> x(1 << 20);
  philox_randn(2024, 0, x);
  std::array<double, 5> moment{};
  double neighbours = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double power = 1;
    for (double& m : moment) {
      m += power;
      power *= x[i];
    }
    if (i > 0) neighbours += static_cast<double>(x[i]) * x[i - 1];
  }
  const double n = moment[0];
  EXPECT_NEAR(moment[1] / n, 0, 5e-3);
  EXPECT_NEAR(moment[2] / n, 1, 7e-3);
  EXPECT_NEAR(moment[3] / n, 0, 19e-3);
  EXPECT_NEAR(moment[4] / n, 3, 48e-3);
  EXPECT_NEAR(neighbours / n, 0, 5e-3);
}

}  // namespace
}  // namespace weft
