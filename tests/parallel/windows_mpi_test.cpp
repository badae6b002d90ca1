// The blend of windows on any number of ranks against a plain serial loop, bit for bit.
#include <algorithm>

#include "weft/base/error.h"
#include "weft/base/rng.h"
#include "weft/parallel/windows.h"

#include "support/mpi_main.h"

namespace weft {
namespace {

constexpr std::int64_t channels = 2;

struct Case {
  const char* name;
  Box volume;
  WindowSize window;
};
const std::vector<Case> cases{
    {"one window", whole(3, 4, 6), {{5, 8, 8}, {1, 2, 2}}},
    {"frames only", whole(9, 4, 6), {{4, 4, 6}, {1, 0, 0}}},
    {"all axes, last windows shifted", whole(7, 10, 14), {{3, 6, 6}, {1, 2, 4}}},
    {"overlap above half a window", whole(6, 4, 16), {{3, 4, 8}, {2, 2, 6}}},
    {"no overlap", whole(4, 4, 8), {{2, 4, 4}, {0, 0, 0}}},
};

Shape shape_of(const Box& box) {
  return {channels, box.frames().size(), box.rows().size(), box.cols().size()};
}

// Window w's own velocity at step s: any rank can make it.
Tensor velocity(const WindowPlan& plan, int w, int step) {
  const Shape shape = shape_of(plan.windows[static_cast<std::size_t>(w)].box);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  philox_randn(static_cast<std::uint64_t>(1000 * step + w), 0, values);
  return Tensor::from(values, shape);
}

float& at(const Tensor& x, const Box& box, std::int64_t c, std::int64_t t, std::int64_t h,
          std::int64_t w) {
  const std::int64_t frame = c * x.dim(1) + t - box.frames().begin;
  return x
      .data<float>()[(frame * x.dim(2) + h - box.rows().begin) * x.dim(3) + w - box.cols().begin];
}

template <class F>
void for_each_cell(const Box& box, F&& f) {
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t t = box.frames().begin; t < box.frames().end; ++t) {
      for (std::int64_t h = box.rows().begin; h < box.rows().end; ++h) {
        for (std::int64_t w = box.cols().begin; w < box.cols().end; ++w) f(c, t, h, w);
      }
    }
  }
}

/// The whole volume's blended velocity, window after window.
Tensor serial_blend(const WindowPlan& plan, int step) {
  Tensor sum = Tensor::zeros(shape_of(plan.volume));
  for (int i = 0; i < std::ssize(plan.windows); ++i) {
    const Box& box = plan.windows[static_cast<std::size_t>(i)].box;
    const Tensor v = velocity(plan, i, step);
    for_each_cell(box, [&](auto c, auto t, auto h, auto w) {
      const float wt = plan.weights(i, 0)[static_cast<std::size_t>(t - box.frames().begin)];
      const float wh = plan.weights(i, 1)[static_cast<std::size_t>(h - box.rows().begin)];
      const float ww = plan.weights(i, 2)[static_cast<std::size_t>(w - box.cols().begin)];
      at(sum, plan.volume, c, t, h, w) += wt * wh * ww * at(v, box, c, t, h, w);
    });
  }
  return sum;
}

void expect_part_of(const Tensor& volume, const Box& volume_box, const Tensor& part, const Box& box,
                    const std::string& what) {
  ASSERT_EQ(part.shape(), shape_of(box)) << what;
  std::int64_t wrong = 0;
  for_each_cell(box, [&](auto c, auto t, auto h, auto w) {
    if (at(part, box, c, t, h, w) != at(volume, volume_box, c, t, h, w)) ++wrong;
  });
  EXPECT_EQ(wrong, 0) << what << ", cells of " << box.str();
}

// Equal shares and, to make runs of windows uneven, costs that grow with the number.
std::vector<std::vector<int>> ownerships(const WindowPlan& plan, int ranks) {
  std::vector<double> rising;
  for (std::size_t w = 0; w < plan.windows.size(); ++w)
    rising.push_back(static_cast<double>(w + 1));
  std::vector<int> cyclic = assign_chunks(plan.windows.size(), ranks);
  return {assign_windows(std::vector<double>(rising.size(), 1.0), ranks),
          assign_windows(rising, ranks), cyclic};
}

TEST(WindowExchange, BlendIsTheSerialSumBitForBit) {
  const auto comm = Communicator::world();
  const auto ops = make_cpu_ops(1);
  for (const Case& c : cases) {
    const auto plan = make_window_plan(c.volume, c.window);
    for (const auto& owner : ownerships(plan, comm.size())) {
      const WindowExchange exchange(comm, plan, owner, channels);
      for (int step = 0; step < 2; ++step) {
        std::vector<Tensor> own;
        for (const int w : exchange.mine()) own.push_back(velocity(plan, w, step));
        const auto blended = exchange.start(own).finish(*ops);
        const Tensor expected = serial_blend(plan, step);
        ASSERT_EQ(blended.size(), exchange.mine().size());
        for (std::size_t i = 0; i < blended.size(); ++i) {
          const auto w = static_cast<std::size_t>(exchange.mine()[i]);
          expect_part_of(expected, plan.volume, blended[i], plan.windows[w].box, c.name);
        }
      }
    }
  }
}

TEST(WindowExchange, ALoneWindowsVelocityPassesUntouched) {
  const auto comm = Communicator::world();
  const auto ops = make_cpu_ops(1);
  const auto plan = make_window_plan(cases[0].volume, cases[0].window);
  const WindowExchange exchange(comm, plan, {0}, channels);
  std::vector<Tensor> own;
  for (const int w : exchange.mine()) own.push_back(velocity(plan, w, 0));
  const auto blended = exchange.start(own).finish(*ops);
  ASSERT_EQ(blended.size(), comm.rank() == 0 ? 1U : 0U);
  for (const Tensor& v : blended) EXPECT_EQ(v.raw(), own[0].raw());
}

TEST(WindowExchange, TwoStepsUnderWayAtOnce) {
  const auto comm = Communicator::world();
  const auto ops = make_cpu_ops(1);
  const auto plan = make_window_plan(cases[2].volume, cases[2].window);
  const WindowExchange exchange(comm, plan, ownerships(plan, comm.size())[1], channels);
  std::array<WindowExchange::Pending, 2> pending;
  for (int step = 0; step < 2; ++step) {
    std::vector<Tensor> own;
    for (const int w : exchange.mine()) own.push_back(velocity(plan, w, step));
    pending[static_cast<std::size_t>(step)] = exchange.start(std::move(own));
  }
  for (const int step : {1, 0}) {
    const auto blended = pending[static_cast<std::size_t>(step)].finish(*ops);
    for (std::size_t i = 0; i < blended.size(); ++i) {
      const auto w = static_cast<std::size_t>(exchange.mine()[i]);
      expect_part_of(serial_blend(plan, step), plan.volume, blended[i], plan.windows[w].box,
                     "two steps");
    }
  }
}

TEST(WindowExchange, ScatterBlendAndGatherOfAWholeRun) {
  const auto comm = Communicator::world();
  const auto ops = make_cpu_ops(1);
  for (const Case& c : cases) {
    const auto plan = make_window_plan(c.volume, c.window);
    std::vector<float> noise(static_cast<std::size_t>(shape_of(plan.volume).numel()));
    philox_randn(7, 0, noise);
    Tensor expected = Tensor::from(noise, shape_of(plan.volume));
    for (const auto& owner : ownerships(plan, comm.size())) {
      const WindowExchange exchange(comm, plan, owner, channels);
      const Tensor volume =
          comm.rank() == 0 ? Tensor::from(noise, shape_of(plan.volume)) : Tensor();
      auto latents = exchange.scatter(volume);
      ASSERT_EQ(latents.size(), exchange.mine().size());
      Tensor serial = expected.clone();
      for (int step = 0; step < 3; ++step) {
        std::vector<Tensor> own;
        for (const int w : exchange.mine()) own.push_back(velocity(plan, w, step));
        const auto blended = exchange.start(std::move(own)).finish(*ops);
        for (std::size_t i = 0; i < latents.size(); ++i) {
          const Term terms[] = {{1.0F, latents[i]}, {-0.25F, blended[i]}};
          ops->combine(terms, latents[i]);
        }
        const Term terms[] = {{1.0F, serial}, {-0.25F, serial_blend(plan, step)}};
        ops->combine(terms, serial);
      }
      const auto chunks = chunk_boxes(plan.volume, decode_chunks(plan.volume.frames().size(), 2));
      const auto chunk_owner = assign_chunks(chunks.size(), comm.size());
      std::vector<int> expected_chunks;
      for (int i = comm.rank(); i < std::ssize(chunks); i += comm.size())
        expected_chunks.push_back(i);
      const auto gathered = exchange.gather(latents, chunks, chunk_owner);
      ASSERT_EQ(gathered.size(), expected_chunks.size());
      for (std::size_t i = 0; i < gathered.size(); ++i) {
        EXPECT_EQ(gathered[i].index, expected_chunks[i]);
        const Box& box = chunks[static_cast<std::size_t>(gathered[i].index)];
        expect_part_of(serial, plan.volume, gathered[i].latents, box, c.name);
      }
    }
  }
}

TEST(WindowExchange, RefusesVelocitiesOfTheWrongShape) {
  const auto comm = Communicator::world();
  const auto plan = make_window_plan(cases[2].volume, cases[2].window);
  const WindowExchange exchange(comm, plan, assign_chunks(plan.windows.size(), comm.size()),
                                channels);
  EXPECT_THROW((void)exchange.start({}), Error);
  std::vector<Tensor> wrong(exchange.mine().size(), Tensor::zeros({channels, 1, 2, 2}));
  EXPECT_THROW((void)exchange.start(wrong), Error);
}

}  // namespace
}  // namespace weft
