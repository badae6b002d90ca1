#include <algorithm>

#include "weft/base/error.h"
#include "weft/comm/exchange.h"

#include "support/mpi_main.h"

namespace weft {
namespace {

constexpr std::int64_t channels = 3;
constexpr float unset = -1;

// A number that tells the item, the channel and the cell: exact in float32.
float value(int item, std::int64_t c, std::int64_t t, std::int64_t h, std::int64_t w) {
  return static_cast<float>(item) + 64 * static_cast<float>(((c * 16 + t) * 32 + h) * 32 + w);
}

template <class F>
void for_each_cell(const Box& box, F&& f) {
  std::int64_t i = 0;
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t t = box.frames().begin; t < box.frames().end; ++t) {
      for (std::int64_t h = box.rows().begin; h < box.rows().end; ++h) {
        for (std::int64_t w = box.cols().begin; w < box.cols().end; ++w) f(i++, c, t, h, w);
      }
    }
  }
}

Tensor empty_box(const Box& box) {
  Tensor data =
      Tensor::empty({channels, box.frames().size(), box.rows().size(), box.cols().size()});
  std::ranges::fill(data.span(), unset);
  return data;
}

BoxTensor filled(const Box& box, int item) {
  BoxTensor made{box, empty_box(box)};
  for_each_cell(box, [&](std::int64_t i, auto c, auto t, auto h, auto w) {
    made.data.data<float>()[i] = value(item, c, t, h, w);
  });
  return made;
}

std::int64_t wrong_cells(const Tensor& packed, const Box& box, int item) {
  std::int64_t wrong = 0;
  for_each_cell(box, [&](std::int64_t i, auto c, auto t, auto h, auto w) {
    if (packed.data<float>()[i] != value(item, c, t, h, w)) ++wrong;
  });
  return wrong;
}

void expect_cells(const Tensor& packed, const Box& box, int item) {
  EXPECT_EQ(wrong_cells(packed, box, item), 0) << "cells of item " << item << " in " << box.str();
}

WindowPlan test_plan() {
  return make_window_plan(whole(7, 10, 14), {.size = {3, 6, 6}, .overlap = {1, 2, 4}});
}

std::vector<int> owners(const WindowPlan& plan, int ranks) {
  return assign_windows(std::vector<double>(plan.windows.size(), 1.0), ranks);
}

TEST(Boxes, PackAndUnpackTouchTheirCellsOnly) {
  const Box outer{{Range{2, 6}, Range{4, 10}, Range{6, 14}}};
  const Box inner{{Range{3, 5}, Range{4, 7}, Range{9, 14}}};
  const Tensor packed = pack_box(filled(outer, 5), inner);
  EXPECT_EQ(packed.shape(), (Shape{channels, 2, 3, 5}));
  expect_cells(packed, inner, 5);

  const BoxTensor target{outer, empty_box(outer)};
  unpack_box(packed, inner, target);
  for_each_cell(outer, [&](std::int64_t i, auto c, auto t, auto h, auto w) {
    const bool inside = inner.contains(Box{{Range{t, t + 1}, Range{h, h + 1}, Range{w, w + 1}}});
    ASSERT_EQ(target.data.data<float>()[i], inside ? value(5, c, t, h, w) : unset);
  });
  EXPECT_THROW(pack_box(filled(inner, 0), outer), Error);
  EXPECT_THROW(unpack_box(packed, outer, target), Error);
}

// The checks below find a part that was cut or put one cell or one frame off: no cell of it agrees.
TEST(Boxes, ABoxThatIsOffByOneIsSeen) {
  const Box volume = whole(6, 10, 14);
  const Box part{{Range{2, 4}, Range{3, 7}, Range{5, 10}}};
  const BoxTensor all = filled(volume, 3);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (const std::int64_t by : {-1, 1}) {
      Box off = part;
      off.axis[axis] = {part.axis[axis].begin + by, part.axis[axis].end + by};
      EXPECT_EQ(wrong_cells(pack_box(all, off), part, 3), part.cells() * channels);
      const BoxTensor target{volume, empty_box(volume)};
      unpack_box(pack_box(all, part), off, target);
      EXPECT_EQ(wrong_cells(pack_box(target, off), off, 3), part.cells() * channels);
    }
  }
}

TEST(Exchange, OverlapsArriveInPlanOrder) {
  const auto comm = Communicator::world();
  Fabric fabric(comm, DeviceKind::cpu);
  const auto link = fabric.link(comm);
  const auto plan = test_plan();
  const auto owner = owners(plan, comm.size());
  const auto overlaps = overlap_plan(plan, owner);
  TransferPlan expected;
  std::ranges::copy_if(overlaps, std::back_inserter(expected),
                       [&](const Transfer& t) { return t.to_rank == comm.rank(); });
  const auto source = [&](int item) {
    EXPECT_EQ(owner[static_cast<std::size_t>(item)], comm.rank());
    return filled(plan.windows[static_cast<std::size_t>(item)].box, item);
  };
  auto moved = start_exchange(*link, overlaps, channels, source, DeviceKind::cpu);
  std::size_t next = 0;
  moved.finish([&](const Transfer& t, const Tensor& packed) {
    ASSERT_LT(next, expected.size());
    EXPECT_EQ(t.from_item, expected[next].from_item);
    EXPECT_EQ(t.to_item, expected[next].to_item);
    EXPECT_EQ(t.box, expected[next].box);
    expect_cells(packed, t.box, t.from_item);
    ++next;
  });
  EXPECT_EQ(next, expected.size());
}

TEST(Exchange, ScatterThenGatherGivesTheVolumeBack) {
  const auto comm = Communicator::world();
  Fabric fabric(comm, DeviceKind::cpu);
  const auto link = fabric.link(comm);
  const auto plan = test_plan();
  const auto owner = owners(plan, comm.size());
  const auto chunks = decode_chunks(plan.volume.frames().size(), 2);
  const auto chunk_owner = assign_chunks(chunks.size(), comm.size());

  std::vector<BoxTensor> windows;
  for (const auto& w : plan.windows) windows.push_back({w.box, empty_box(w.box)});
  start_exchange(
      *link, scatter_plan(plan, owner), channels, [&](int) { return filled(plan.volume, 0); },
      DeviceKind::cpu)
      .finish([&](const Transfer& t, const Tensor& packed) {
        unpack_box(packed, t.box, windows[static_cast<std::size_t>(t.to_item)]);
      });

  const std::vector<Box> pieces = chunk_boxes(plan.volume, chunks);
  std::vector<BoxTensor> decoded;
  for (const Box& box : pieces) decoded.push_back({box, empty_box(box)});
  start_exchange(
      *link, gather_plan(plan, owner, pieces, chunk_owner), channels,
      [&](int item) { return windows[static_cast<std::size_t>(item)]; }, DeviceKind::cpu)
      .finish([&](const Transfer& t, const Tensor& packed) {
        unpack_box(packed, t.box, decoded[static_cast<std::size_t>(t.to_item)]);
      });
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (chunk_owner[i] == comm.rank()) expect_cells(decoded[i].data, decoded[i].box, 0);
  }
}

// Two exchanges under way at once, finished in the other order than they were started in.
TEST(Exchange, TwoAtATime) {
  const auto comm = Communicator::world();
  Fabric fabric(comm, DeviceKind::cpu);
  const auto link = fabric.link(comm);
  const auto plan = test_plan();
  const auto owner = owners(plan, comm.size());
  const auto overlaps = overlap_plan(plan, owner);
  const auto source_of = [&](int shift) {
    return [&plan, shift](int item) {
      return filled(plan.windows[static_cast<std::size_t>(item)].box, item + shift);
    };
  };
  auto first = start_exchange(*link, overlaps, channels, source_of(0), DeviceKind::cpu);
  auto second = start_exchange(*link, overlaps, channels, source_of(30), DeviceKind::cpu);
  second.finish(
      [&](const Transfer& t, const Tensor& p) { expect_cells(p, t.box, t.from_item + 30); });
  first.finish([&](const Transfer& t, const Tensor& p) { expect_cells(p, t.box, t.from_item); });
}

TEST(Exchange, BytesSentAreThePlansBytes) {
  const auto comm = Communicator::world();
  Fabric fabric(comm, DeviceKind::cpu);
  const auto link = fabric.link(comm);
  const auto plan = test_plan();
  const auto overlaps = overlap_plan(plan, owners(plan, comm.size()));
  std::int64_t expected = 0;
  for (const Transfer& t : overlaps) {
    if (t.from_rank == comm.rank()) expected += t.box.cells() * channels * 4;
  }
  start_exchange(
      *link, overlaps, channels,
      [&](int item) { return filled(plan.windows[static_cast<std::size_t>(item)].box, item); },
      DeviceKind::cpu)
      .finish([](const Transfer&, const Tensor&) {});
  EXPECT_EQ(link->bytes_sent(), expected);
}

}  // namespace
}  // namespace weft
