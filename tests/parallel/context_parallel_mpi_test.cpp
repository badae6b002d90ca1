// Attention shared by ranks against the same attention on one, for every way of arranging the ranks
// as ring x ulysses.
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <numbers>
#include <tuple>

#include "weft/base/error.h"
#include "weft/base/rng.h"
#include "weft/parallel/context_parallel.h"

#include "support/mpi_main.h"
#include "support/tolerance.h"

namespace weft {
namespace {

// What is left to differ when the keys come in parts: the order in which float32 sums are taken.
constexpr double order_of_sums = 2e-6;

struct Grid {
  int ulysses, ring;
};
std::vector<Grid> grids(int ranks) {
  std::vector<Grid> all;
  for (int u = 1; u <= ranks; ++u) {
    if (ranks % u == 0) all.push_back({u, ranks / u});
  }
  return all;
}

struct Case {
  std::int64_t tokens, heads, width;
  int chunks;
  [[nodiscard]] Shape shape() const { return {tokens, heads, width}; }
  [[nodiscard]] std::string str(Grid grid) const {
    return fmt::format("ulysses {}, ring {}: {} tokens, {} heads of {} in {} chunks", grid.ulysses,
                       grid.ring, tokens, heads, width, chunks);
  }
};

struct Inputs {
  Tensor q, k, v;
};

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  philox_randn(seed, 0, values);
  return Tensor::from(values, shape);
}
Inputs random_inputs(const Shape& shape, std::uint64_t seed = 1) {
  return {random_tensor(shape, seed), random_tensor(shape, seed + 1),
          random_tensor(shape, seed + 2)};
}

Tensor on_one_rank(Ops& ops, const Inputs& x, float scale) {
  Tensor out = Tensor::empty(x.q.shape());
  LocalAttention().run(ops, x.q, x.k, x.v, scale, out);
  return out;
}

/// A copy of this rank's rows, so that nothing outside of them can be read by mistake.
Tensor rows(const Tensor& x, TokenRange range) { return x.slice(range.begin, range.end).clone(); }

/// The rows of this rank, computed together with the others. They start as NaN.
Tensor shared(Ops& ops, ContextParallelAttention& attention, const Inputs& x, float scale) {
  const TokenRange mine = attention.range(x.q.dim(0));
  Tensor out = Tensor::empty(x.q.shape().with(0, mine.size()));
  std::memset(out.raw(), 0xFF, out.bytes());
  attention.run(ops, rows(x.q, mine), rows(x.k, mine), rows(x.v, mine), scale, out);
  return out;
}

Tensor half_sum(const Tensor& x, const Tensor& y) {
  Tensor sum = Tensor::empty(x.shape());
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    sum.data<float>()[i] = 0.5F * (x.data<float>()[i] + y.data<float>()[i]);
  }
  return sum;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

class ContextParallel : public ::testing::Test {
 protected:
  Communicator world_ = Communicator::world();
  Fabric fabric_{world_, DeviceKind::cpu};
  std::unique_ptr<Ops> ops_ = make_cpu_ops(1);

  /// Made once and used for sequences of every length in turn.
  ContextParallelAttention& attention_of(const Case& c, Grid grid) {
    auto& made = attentions_[{c.heads, c.chunks, grid.ulysses}];
    if (made == nullptr) {
      made = std::make_unique<ContextParallelAttention>(fabric_, world_, grid.ulysses, grid.ring,
                                                        c.heads, c.chunks);
    }
    return *made;
  }

  /// Cases of one shape come one after another.
  template <class F>
  void for_each_case(F f) {
    // Uneven shares of tokens and heads, blocks of different sizes along the ring, one token each.
    for (const std::int64_t tokens : {std::int64_t{61}, std::int64_t{world_.size()},
                                      std::int64_t{world_.size()} + 1, std::int64_t{500}}) {
      for (const auto& [heads, width] : {std::pair{12, 16}, {5, 16}, {5, 64}}) {
        for (const int chunks : {1, 2, 3}) {
          for (const Grid& grid : grids(world_.size())) {
            if (heads < grid.ulysses || (tokens == 500 && heads * width > 200)) continue;
            const Case c{tokens, heads, width, chunks};
            SCOPED_TRACE(c.str(grid));
            f(c, grid);
          }
        }
      }
    }
  }

 private:
  std::map<std::tuple<std::int64_t, int, int>, std::unique_ptr<ContextParallelAttention>>
      attentions_;
};

TEST_F(ContextParallel, AgreesWithOneRank) {
  Inputs x;
  Tensor whole;
  for_each_case([&](const Case& c, Grid grid) {
    const float scale = 1 / std::sqrt(static_cast<float>(c.width));
    if (!whole.defined() || whole.shape() != c.shape()) {
      x = random_inputs(c.shape());
      whole = on_one_rank(*ops_, x, scale);
    }
    ContextParallelAttention& attention = attention_of(c, grid);
    const Tensor out = shared(*ops_, attention, x, scale);
    const Tensor expected = rows(whole, attention.range(c.tokens));
    EXPECT_LE(test::relative_error(out.span(), expected.span()), order_of_sums);
    // Whole heads over all keys: the same operation, wherever a head is.
    if (grid.ring == 1) {
      EXPECT_TRUE(same_bits(out, expected));
    }
    EXPECT_TRUE(same_bits(out, shared(*ops_, attention, x, scale))) << "another run, other bits";
  });
}

// Every query of a head looks at one key alone, another for each query; a value says which token,
// head and element it is. A row of a block that is missing or doubled, two ranks' parts that are
// swapped, or q, k and v that are mixed up give another number.
TEST_F(ContextParallel, EveryTokenAndHeadComesHome) {
  for_each_case([&](const Case& c, Grid grid) {
    const auto looks_at = [&](std::int64_t i, std::int64_t h) {
      return (c.tokens - i + 5 * h) % c.tokens;
    };
    const auto value = [&](std::int64_t i, std::int64_t h, std::int64_t e) {
      return static_cast<float>((i * c.heads + h) * c.width + e);  // below 2^24: exact
    };
    Inputs x{Tensor::zeros(c.shape()), Tensor::zeros(c.shape()), Tensor::zeros(c.shape())};
    const double turn = 2 * std::numbers::pi / static_cast<double>(c.tokens);
    for (std::int64_t i = 0; i < c.tokens; ++i) {
      for (std::int64_t h = 0; h < c.heads; ++h) {
        const std::int64_t at = (i * c.heads + h) * c.width;
        const double wanted = turn * static_cast<double>(looks_at(i, h));
        const double own = turn * static_cast<double>(i);
        x.q.data<float>()[at] = static_cast<float>(std::cos(wanted));
        x.q.data<float>()[at + 1] = static_cast<float>(std::sin(wanted));
        x.k.data<float>()[at] = static_cast<float>(std::cos(own));
        x.k.data<float>()[at + 1] = static_cast<float>(std::sin(own));
        for (std::int64_t e = 0; e < c.width; ++e) x.v.data<float>()[at + e] = value(i, h, e);
      }
    }
    // Neighbouring keys are 7e-5 apart at 500 tokens: every other weight is e^-700 at most, 0.
    const float scale = 1e7F;
    ContextParallelAttention& attention = attention_of(c, grid);
    const Tensor out = shared(*ops_, attention, x, scale);
    const TokenRange mine = attention.range(c.tokens);
    std::int64_t wrong = 0;
    for (std::int64_t i = mine.begin; i < mine.end; ++i) {
      for (std::int64_t h = 0; h < c.heads; ++h) {
        for (std::int64_t e = 0; e < c.width; ++e) {
          const float got = out.data<float>()[((i - mine.begin) * c.heads + h) * c.width + e];
          if (got != value(looks_at(i, h), h, e)) ++wrong;
        }
      }
    }
    EXPECT_EQ(wrong, 0) << "of " << out.numel();
  });
}

// A transformer calls it in every layer, one right after the other, and the next layer's inputs are
// made from what this one gave: buffers reused too early or messages of two layers taken for each
// other would show. Windows of another size come between.
TEST_F(ContextParallel, ManyLayersInARow) {
  const float scale = 0.25F;
  for (const Grid& grid : grids(world_.size())) {
    SCOPED_TRACE(fmt::format("ulysses {}, ring {}", grid.ulysses, grid.ring));
    ContextParallelAttention attention(fabric_, world_, grid.ulysses, grid.ring, 12, 2);
    for (const std::int64_t tokens : {37, 83, 37}) {
      Inputs whole = random_inputs({tokens, 12, 16});
      const TokenRange mine = attention.range(tokens);
      Inputs part{rows(whole.q, mine), rows(whole.k, mine), rows(whole.v, mine)};
      for (int layer = 0; layer < 30; ++layer) {
        whole = {whole.k, whole.v, half_sum(whole.q, on_one_rank(*ops_, whole, scale))};
        const Inputs passed{part.q.clone(), part.k.clone(), part.v.clone()};
        const Tensor mixed = Tensor::empty(part.q.shape());
        attention.run(*ops_, passed.q, passed.k, passed.v, scale, mixed);
        // What was passed in may be overwritten as soon as run() has returned.
        for (const Tensor& x : {passed.q, passed.k, passed.v}) fill_zero(x);
        part = {part.k, part.v, half_sum(part.q, mixed)};
      }
      for (const auto& [got, expected] :
           {std::pair{part.q, whole.q}, {part.k, whole.k}, {part.v, whole.v}}) {
        EXPECT_LE(test::relative_error(got.span(), rows(expected, mine).span()), 1e-5);
      }
    }
  }
}

TEST_F(ContextParallel, TokensAreDealtEvenlyInOrder) {
  for (const Grid& grid : grids(world_.size())) {
    const ContextParallelAttention attention(fabric_, world_, grid.ulysses, grid.ring, 12);
    for (std::int64_t tokens = world_.size(); tokens < world_.size() + 20; ++tokens) {
      const TokenRange mine = attention.range(tokens);
      const std::int64_t least = tokens / world_.size();
      EXPECT_TRUE(mine.size() == least || mine.size() == least + 1);
      EXPECT_EQ(world_.sum(static_cast<double>(mine.size())), static_cast<double>(tokens));
      const std::int64_t longer = std::min<std::int64_t>(world_.rank(), tokens % world_.size());
      EXPECT_EQ(mine.begin, world_.rank() * least + longer);
    }
  }
}

TEST_F(ContextParallel, FeaturesAreGatheredInOrder) {
  for (const Grid& grid : grids(world_.size())) {
    ContextParallelAttention attention(fabric_, world_, grid.ulysses, grid.ring, 12);
    for (const std::int64_t tokens : {std::int64_t{world_.size()}, std::int64_t{61}}) {
      for (const std::int64_t width : {1, 7}) {
        const Tensor all = random_tensor({tokens, width}, 5);
        const Tensor whole = attention.gather(*ops_, rows(all, attention.range(tokens)), tokens);
        EXPECT_EQ(whole.shape(), all.shape());
        EXPECT_TRUE(same_bits(whole, all));
      }
    }
  }
}

// Per layer and rank, in values of its tokens n H d: q, k, v and the result by Ulysses, all but its
// own share; keys and values of its heads once around the ring.
TEST_F(ContextParallel, SendsNoMoreThanItMust) {
  for (const Grid& grid : grids(world_.size())) {
    const Case c{std::int64_t{6} * world_.size(), std::int64_t{3} * grid.ulysses, 16, 3};
    SCOPED_TRACE(c.str(grid));
    ContextParallelAttention attention(fabric_, world_, grid.ulysses, grid.ring, c.heads, c.chunks);
    EXPECT_EQ(attention.bytes_sent(), 0);
    const Inputs x = random_inputs(c.shape());
    for (int layer = 0; layer < 2; ++layer) (void)shared(*ops_, attention, x, 1);
    const std::int64_t own = 6 * c.heads * c.width * std::int64_t{sizeof(float)};
    EXPECT_EQ(attention.bytes_sent(),
              2 * (4 * own / grid.ulysses * (grid.ulysses - 1) + 2 * own * (grid.ring - 1)));
  }
}

// Two groups beside each other, as the halves of guidance are: each sees its own values alone.
TEST_F(ContextParallel, GroupsDoNotDisturbEachOther) {
  if (world_.size() % 2 != 0) GTEST_SKIP() << "two groups of one size need an even number";
  const int half = world_.rank() * 2 / world_.size();
  const Communicator group = world_.split(half);
  for (const Grid& grid : grids(group.size())) {
    const Case c{41, 12, 16, 2};
    SCOPED_TRACE(c.str(grid));
    ContextParallelAttention attention(fabric_, group, grid.ulysses, grid.ring, c.heads, c.chunks);
    for (int layer = 0; layer < 5; ++layer) {
      const Inputs x = random_inputs(c.shape(), static_cast<std::uint64_t>(100 * half + layer));
      const Tensor out = shared(*ops_, attention, x, 0.25F);
      const TokenRange mine = attention.range(c.tokens);
      const Tensor expected = rows(on_one_rank(*ops_, x, 0.25F), mine);
      EXPECT_LE(test::relative_error(out.span(), expected.span()), order_of_sums);
      const Tensor whole = attention.gather(*ops_, rows(x.q, mine), c.tokens);
      EXPECT_TRUE(same_bits(whole, x.q));
    }
  }
}

// A model that asks for tokens of one sequence and runs on another's must not hang or mix rows.
TEST_F(ContextParallel, RefusesOtherShapes) {
  if (world_.size() == 1) GTEST_SKIP() << "one rank takes what it is given";
  ContextParallelAttention attention(fabric_, world_, 1, world_.size(), 5);
  const TokenRange mine = attention.range(std::int64_t{4} * world_.size());
  const Tensor x = Tensor::zeros({mine.size() + 1, 5, 16});
  EXPECT_THROW(attention.run(*ops_, x, x, x, 1, x.clone()), Error);
  const Tensor other_heads = Tensor::zeros({mine.size(), 6, 16});
  EXPECT_THROW(attention.run(*ops_, other_heads, other_heads, other_heads, 1, other_heads.clone()),
               Error);
  EXPECT_THROW((void)attention.range(world_.size() - 1), Error);
}

}  // namespace
}  // namespace weft
