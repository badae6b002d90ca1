#include "weft/comm/exchange.h"

#include <array>

#include "weft/base/error.h"

namespace weft {
namespace {

void check_tensor(const Tensor& data, const Box& box, const char* what) {
  WEFT_ASSERT(data.defined() && data.dtype() == DType::f32 && data.shape().rank() == 4 &&
                  data.shape() == box_shape(data.dim(0), box),
              "{} of {} is not a float32 tensor [C, frames, rows, cols]", what, box.str());
}

struct Placed {
  std::array<std::int64_t, 4> at, extent;  // all channels of the part, counted from the whole's box
};

Placed place_of(const Box& part, const BoxTensor& all, const Tensor& packed) {
  check_tensor(all.data, all.box, "the tensor");
  check_tensor(packed, part, "the packed part");
  WEFT_ASSERT(all.box.contains(part), "{} is not inside {}", part.str(), all.box.str());
  Placed placed{{0}, {all.data.dim(0)}};
  for (std::size_t a = 0; a < 3; ++a) {
    placed.at[a + 1] = part.axis[a].begin - all.box.axis[a].begin;
    placed.extent[a + 1] = part.axis[a].size();
  }
  return placed;
}

constexpr std::array<std::int64_t, 4> origin{};

}  // namespace

Shape box_shape(std::int64_t channels, const Box& box) {
  return {channels, box.frames().size(), box.rows().size(), box.cols().size()};
}

Tensor pack_box(const BoxTensor& from, const Box& box) {
  check_tensor(from.data, from.box, "the tensor");
  const Tensor packed =
      Tensor::empty(box_shape(from.data.dim(0), box), DType::f32, from.data.device());
  const auto [at, extent] = place_of(box, from, packed);
  copy_box(from.data, at, packed, origin, extent);
  return packed;
}

void unpack_box(const Tensor& packed, const Box& box, const BoxTensor& to) {
  const auto [at, extent] = place_of(box, to, packed);
  copy_box(packed, origin, to.data, at, extent);
}

PendingExchange start_exchange(TensorLink& link, const TransferPlan& plan, std::int64_t channels,
                               const std::function<BoxTensor(int)>& source, DeviceKind device) {
  PendingExchange exchange;
  std::vector<TensorMessage> sends, receives;
  const int me = link.rank();
  for (const Transfer& t : plan) {
    Tensor packed;
    if (t.from_rank == me) {
      packed = pack_box(source(t.from_item), t.box);
      WEFT_ASSERT(packed.dim(0) == channels && packed.device() == device,
                  "item {} has {} channels on {}, want {} on {}", t.from_item, packed.dim(0),
                  device_name(packed.device()), channels, device_name(device));
      if (t.to_rank != me) sends.push_back({packed, t.to_rank});
    }
    if (t.to_rank != me) continue;
    if (t.from_rank != me) {
      packed = Tensor::empty(box_shape(channels, t.box), DType::f32, device);
      receives.push_back({packed, t.from_rank});
    }
    exchange.to_here_.push_back({t, packed});
  }
  exchange.moved_ = link.start(std::move(sends), std::move(receives));
  return exchange;
}

void PendingExchange::finish(const std::function<void(const Transfer&, const Tensor&)>& arrived) {
  moved_.finish();
  for (Item& item : to_here_) {
    arrived(item.transfer, item.packed);
    item.packed = {};  // freed as soon as it has been used
  }
  to_here_.clear();
}

}  // namespace weft
