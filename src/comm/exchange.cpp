#include "weft/comm/exchange.h"

#include <cstring>

#include "weft/base/error.h"

namespace weft {
namespace {

Shape packed_shape(std::int64_t channels, const Box& box) {
  return {channels, box.frames().size(), box.rows().size(), box.cols().size()};
}

void check_tensor(const Tensor& data, const Box& box, const char* what) {
  WEFT_ASSERT(data.defined() && data.device() == DeviceKind::cpu && data.dtype() == DType::f32 &&
                  data.shape().rank() == 4 && data.shape() == packed_shape(data.dim(0), box),
              "{} of {} is not a CPU float32 tensor [C, frames, rows, cols]", what, box.str());
}

/// Calls f(packed, whole, columns) for every row of `part`: the two places where it begins.
template <class F>
void for_each_row(const BoxTensor& all, const Box& part, const Tensor& packed, F&& f) {
  check_tensor(all.data, all.box, "the tensor");
  check_tensor(packed, part, "the packed part");
  WEFT_ASSERT(all.box.contains(part), "{} is not inside {}", part.str(), all.box.str());
  WEFT_ASSERT(packed.dim(0) == all.data.dim(0), "{} channels packed of {}", packed.dim(0),
              all.data.dim(0));
  const std::int64_t columns = part.cols().size();
  float* at = packed.data<float>();
  for (std::int64_t c = 0; c < all.data.dim(0); ++c) {
    for (std::int64_t t = part.frames().begin; t < part.frames().end; ++t) {
      for (std::int64_t h = part.rows().begin; h < part.rows().end; ++h, at += columns) {
        const std::int64_t frame = c * all.data.dim(1) + t - all.box.frames().begin;
        const std::int64_t row = frame * all.data.dim(2) + h - all.box.rows().begin;
        f(at,
          all.data.data<float>() + row * all.data.dim(3) + part.cols().begin - all.box.cols().begin,
          static_cast<std::size_t>(columns));
      }
    }
  }
}

std::span<std::byte> bytes_of(const Tensor& t) { return {t.raw(), t.bytes()}; }

}  // namespace

Tensor pack_box(const BoxTensor& from, const Box& box) {
  Tensor packed = Tensor::empty(packed_shape(from.data.dim(0), box));
  for_each_row(from, box, packed, [](float* part, const float* all, std::size_t n) {
    std::memcpy(part, all, n * sizeof(float));
  });
  return packed;
}

void unpack_box(const Tensor& packed, const Box& box, const BoxTensor& to) {
  for_each_row(to, box, packed, [](const float* part, float* all, std::size_t n) {
    std::memcpy(all, part, n * sizeof(float));
  });
}

PendingExchange start_exchange(const Communicator& comm, const TransferPlan& plan,
                               std::int64_t channels, const std::function<BoxTensor(int)>& source,
                               int tag) {
  PendingExchange exchange;
  const int me = comm.rank();
  // Receives first: a message that finds its receive posted needs no buffer in between. Two
  // messages between the same ranks keep the plan's order on both sides.
  for (const Transfer& t : plan) {
    if (t.to_rank != me) continue;
    auto& item = exchange.receives_.emplace_back();
    item.transfer = t;
    if (t.from_rank == me) continue;
    item.packed = Tensor::empty(packed_shape(channels, t.box));
    item.pending = comm.start_receive(bytes_of(item.packed), t.from_rank, tag);
  }
  auto local = exchange.receives_.begin();
  for (const Transfer& t : plan) {
    const bool stays = t.from_rank == me && t.to_rank == me;
    while (stays && local->transfer.from_rank != me) ++local;
    if (t.from_rank != me) continue;
    Tensor packed = pack_box(source(t.from_item), t.box);
    WEFT_ASSERT(packed.dim(0) == channels, "item {} has {} channels, want {}", t.from_item,
                packed.dim(0), channels);
    if (stays) {
      (local++)->packed = packed;
    } else {
      auto& item = exchange.sends_.emplace_back();
      item.transfer = t;
      item.packed = packed;
      item.pending = comm.start_send(bytes_of(packed), t.to_rank, tag);
    }
  }
  return exchange;
}

void PendingExchange::finish(const std::function<void(const Transfer&, const Tensor&)>& arrived) {
  for (Item& item : receives_) {
    item.pending.wait();
    arrived(item.transfer, item.packed);
    item.packed = {};
  }
  for (Item& item : sends_) item.pending.wait();
  receives_.clear();
  sends_.clear();
}

}  // namespace weft
