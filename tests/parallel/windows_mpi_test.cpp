// The blend of windows on any number of ranks against a plain serial loop, bit for bit.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

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

Shape shape_of(const Box& box) { return box_shape(channels, box); }

/// All ranks as one lane.
struct World {
  Communicator comm = Communicator::world();
  Fabric fabric{comm, DeviceKind::cpu};
  std::unique_ptr<TensorLink> link = fabric.link(comm);

  [[nodiscard]] WindowExchange exchange(WindowPlan plan, std::vector<int> owner) const {
    return {*link, std::move(plan), std::move(owner), channels, DeviceKind::cpu};
  }
};

std::map<int, Tensor> by_window(const WindowExchange& exchange, std::span<const Tensor> tensors) {
  std::map<int, Tensor> held;
  for (std::size_t i = 0; i < tensors.size(); ++i) held[exchange.mine()[i]] = tensors[i];
  return held;
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
Tensor serial_blend(const WindowPlan& plan, const std::function<Tensor(int window)>& velocity_of) {
  Tensor sum = Tensor::zeros(shape_of(plan.volume));
  for (int i = 0; i < std::ssize(plan.windows); ++i) {
    const Box& box = plan.windows[static_cast<std::size_t>(i)].box;
    const Tensor v = velocity_of(i);
    for_each_cell(box, [&](auto c, auto t, auto h, auto w) {
      const float wt = plan.weights(i, 0)[static_cast<std::size_t>(t - box.frames().begin)];
      const float wh = plan.weights(i, 1)[static_cast<std::size_t>(h - box.rows().begin)];
      const float ww = plan.weights(i, 2)[static_cast<std::size_t>(w - box.cols().begin)];
      at(sum, plan.volume, c, t, h, w) += wt * wh * ww * at(v, box, c, t, h, w);
    });
  }
  return sum;
}

Tensor serial_blend(const WindowPlan& plan, int step) {
  return serial_blend(plan, [&](int w) { return velocity(plan, w, step); });
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
  const World world;
  const auto& comm = world.comm;
  const auto ops = make_cpu_ops(1);
  for (const Case& c : cases) {
    const auto plan = make_window_plan(c.volume, c.window);
    for (const auto& owner : ownerships(plan, comm.size())) {
      const auto exchange = world.exchange(plan, owner);
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
  const World world;
  const auto& comm = world.comm;
  const auto ops = make_cpu_ops(1);
  const auto plan = make_window_plan(cases[0].volume, cases[0].window);
  const auto exchange = world.exchange(plan, {0});
  std::vector<Tensor> own;
  for (const int w : exchange.mine()) own.push_back(velocity(plan, w, 0));
  const auto blended = exchange.start(own).finish(*ops);
  ASSERT_EQ(blended.size(), comm.rank() == 0 ? 1U : 0U);
  for (const Tensor& v : blended) EXPECT_EQ(v.raw(), own[0].raw());
}

TEST(WindowExchange, TwoStepsUnderWayAtOnce) {
  const World world;
  const auto& comm = world.comm;
  const auto ops = make_cpu_ops(1);
  const auto plan = make_window_plan(cases[2].volume, cases[2].window);
  const auto exchange = world.exchange(plan, ownerships(plan, comm.size())[1]);
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
  const World world;
  const auto& comm = world.comm;
  const auto ops = make_cpu_ops(1);
  for (const Case& c : cases) {
    const auto plan = make_window_plan(c.volume, c.window);
    std::vector<float> noise(static_cast<std::size_t>(shape_of(plan.volume).numel()));
    philox_randn(7, 0, noise);
    Tensor expected = Tensor::from(noise, shape_of(plan.volume));
    for (const auto& owner : ownerships(plan, comm.size())) {
      const auto exchange = world.exchange(plan, owner);
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
      const auto gathered = gather_pieces(*world.link, plan, owner, channels, DeviceKind::cpu,
                                          by_window(exchange, latents), chunks, chunk_owner);
      ASSERT_EQ(gathered.size(), expected_chunks.size());
      for (std::size_t i = 0; i < gathered.size(); ++i) {
        EXPECT_EQ(gathered[i].index, expected_chunks[i]);
        const Box& box = chunks[static_cast<std::size_t>(gathered[i].index)];
        expect_part_of(serial, plan.volume, gathered[i].latents, box, c.name);
      }
    }
  }
}

// A velocity that tells its place in the volume, alike in every window that holds the cell: the
// weights of a cell sum to one, so the blend is that velocity again. A part cut, sent or put one
// cell or one frame off differs by at least 1.
float place_value(std::int64_t c, std::int64_t t, std::int64_t h, std::int64_t w) {
  return static_cast<float>(((c * 16 + t) * 16 + h) * 16 + w + 1);
}

Tensor place_values(const Box& box) {
  const Tensor v = Tensor::empty(shape_of(box));
  for_each_cell(box, [&](auto c, auto t, auto h, auto w) {
    at(v, box, c, t, h, w) = place_value(c, t, h, w);
  });
  return v;
}

std::int64_t misplaced(const Tensor& v, const Box& box) {
  std::int64_t wrong = 0;
  for_each_cell(box, [&](auto c, auto t, auto h, auto w) {
    if (std::abs(at(v, box, c, t, h, w) - place_value(c, t, h, w)) > 0.01F) ++wrong;
  });
  return wrong;
}

TEST(WindowExchange, HalosLandOnTheirOwnCells) {
  const World world;
  const auto ops = make_cpu_ops(1);
  for (const Case& c : cases) {
    for (int step = 0; step < 4; ++step) {
      const auto plan =
          make_window_plan(c.volume, c.window, window_shift(c.volume, c.window, step));
      const auto exchange = world.exchange(plan, ownerships(plan, world.comm.size())[2]);
      std::vector<Tensor> own;
      for (const int w : exchange.mine()) {
        own.push_back(place_values(plan.windows[static_cast<std::size_t>(w)].box));
      }
      const auto blended = exchange.start(own).finish(*ops);
      for (std::size_t i = 0; i < blended.size(); ++i) {
        Box box = plan.windows[static_cast<std::size_t>(exchange.mine()[i])].box;
        EXPECT_EQ(misplaced(blended[i], box), 0) << c.name << ", " << box.str();
        for (Range& range : box.axis) {  // the check itself sees one frame, row and column
          const Range kept = range;
          range = {kept.begin + 1, kept.end + 1};
          EXPECT_EQ(misplaced(blended[i], box), shape_of(box).numel());
          range = kept;
        }
      }
    }
  }
}

// Every step has other windows; latents and a tensor of history are carried from one to the next.
// The volume is what a plain loop over all windows makes of it, bit for bit, on any number of
// ranks.
TEST(WindowExchange, WindowsThatMoveCarryTheirStateExactly) {
  const World world;
  const int ranks = world.comm.size();
  const auto ops = make_cpu_ops(1);
  for (const Case& c : cases) {
    const auto plan_of = [&](int step) {
      return make_window_plan(c.volume, c.window, window_shift(c.volume, c.window, step));
    };
    std::vector<float> noise(static_cast<std::size_t>(shape_of(c.volume).numel()));
    philox_randn(7, 0, noise);
    const Tensor volume = Tensor::from(noise, shape_of(c.volume));
    Tensor serial = volume.clone(), serial_last = Tensor::zeros(volume.shape());

    auto exchange = world.exchange(plan_of(0), ownerships(plan_of(0), ranks)[0]);
    auto latents = exchange.scatter(world.comm.rank() == 0 ? volume : Tensor());
    std::vector<Tensor> last;
    for (const Tensor& x : latents) last.push_back(Tensor::zeros(x.shape()));
    // x += -0.25 v + 0.125 v_last, then v_last = v.
    const auto advance = [&](Tensor x, const Tensor& v, Tensor v_last) {
      const Term terms[] = {{1.0F, x}, {-0.25F, v}, {0.125F, v_last}};
      ops->combine(terms, x);
      copy(v, v_last);
    };
    for (int step = 0; step < 5; ++step) {
      if (step > 0) {
        auto moved = world.exchange(
            plan_of(step), ownerships(plan_of(step), ranks)[static_cast<std::size_t>(step % 3)]);
        latents = rewindow(exchange, moved, latents);
        last = rewindow(exchange, moved, last);
        exchange = std::move(moved);
      }
      const WindowPlan& plan = exchange.plan();
      std::vector<Tensor> own;
      for (const int w : exchange.mine()) own.push_back(velocity(plan, w, step));
      const auto blended = exchange.start(std::move(own)).finish(*ops);
      ASSERT_EQ(latents.size(), blended.size());
      for (std::size_t i = 0; i < latents.size(); ++i) advance(latents[i], blended[i], last[i]);
      advance(serial, serial_blend(plan, step), serial_last);
      for (std::size_t i = 0; i < latents.size(); ++i) {
        const Box& box = plan.windows[static_cast<std::size_t>(exchange.mine()[i])].box;
        expect_part_of(serial, c.volume, latents[i], box, c.name);
        expect_part_of(serial_last, c.volume, last[i], box, c.name);
      }
    }
  }
}

// Windows shared by groups of two ranks. The ranks at the same place of every group are a lane;
// both lanes exchange side by side, and the pieces come from either of a group's ranks.
TEST(WindowExchange, LanesOfGroupsComeToTheSameLatents) {
  const auto comm = Communicator::world();
  if (comm.size() % 2 != 0) GTEST_SKIP() << "needs groups of two ranks";
  Fabric fabric(comm, DeviceKind::cpu);
  const auto all = fabric.link(comm);
  const int groups = comm.size() / 2, place = comm.rank() % 2;
  const auto lane_ranks = comm.split(place);
  const auto lane = fabric.link(lane_ranks);
  ASSERT_EQ(lane->size(), groups);
  const auto ops = make_cpu_ops(1);
  for (const Case& c : cases) {
    const auto plan = make_window_plan(c.volume, c.window, window_shift(c.volume, c.window, 1));
    for (const auto& owner : ownerships(plan, groups)) {
      const WindowExchange exchange(*lane, plan, owner, channels, DeviceKind::cpu);
      std::vector<float> noise(static_cast<std::size_t>(shape_of(plan.volume).numel()));
      philox_randn(7, 0, noise);
      const Tensor volume = Tensor::from(noise, shape_of(plan.volume));
      auto latents = exchange.scatter(lane->rank() == 0 ? volume : Tensor());
      Tensor serial = volume.clone();
      for (int step = 0; step < 2; ++step) {
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
      std::vector<int> sender;  // by window: group g has ranks 2 g and 2 g + 1
      for (std::size_t w = 0; w < owner.size(); ++w)
        sender.push_back(2 * owner[w] + static_cast<int>(w % 2));
      const auto pieces = chunk_boxes(plan.volume, decode_chunks(plan.volume.frames().size(), 2));
      const auto piece_owner = assign_chunks(pieces.size(), comm.size());
      const auto gathered = gather_pieces(*all, plan, sender, channels, DeviceKind::cpu,
                                          by_window(exchange, latents), pieces, piece_owner);
      EXPECT_EQ(std::ssize(gathered), std::ranges::count(piece_owner, comm.rank()));
      for (const auto& [index, piece] : gathered) {
        EXPECT_EQ(piece_owner[static_cast<std::size_t>(index)], comm.rank());
        expect_part_of(serial, plan.volume, piece, pieces[static_cast<std::size_t>(index)], c.name);
      }
    }
  }
}

TEST(WindowExchange, RefusesVelocitiesOfTheWrongShape) {
  const World world;
  const auto plan = make_window_plan(cases[2].volume, cases[2].window);
  const auto exchange = world.exchange(plan, assign_chunks(plan.windows.size(), world.comm.size()));
  EXPECT_THROW((void)exchange.start({}), Error);
  std::vector<Tensor> wrong(exchange.mine().size(), Tensor::zeros({channels, 1, 2, 2}));
  EXPECT_THROW((void)exchange.start(wrong), Error);
}

}  // namespace
}  // namespace weft
