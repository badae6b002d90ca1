#include <cstring>

#include "weft/device/copy_boxes.h"
#include "weft/device/device_api.h"

namespace weft {
namespace {

/// A dimension of a box in both tensors: `count` pieces, so many bytes apart.
struct BoxDim {
  std::int64_t count, from_step, to_step;
};

/// Two places in memory and the dimensions of what is copied, innermost first: dims[0] is a run of
/// bytes. Dimensions that continue each other on both sides are one.
struct BoxPlan {
  const std::byte* from;
  std::byte* to;
  std::vector<BoxDim> dims;
};

BoxPlan plan_box(const BoxCopy& box) {
  const auto size = static_cast<std::int64_t>(dtype_size(box.from.dtype()));
  BoxPlan plan{box.from.raw(), box.to.raw(), {{size, 1, 1}}};
  std::int64_t from_step = size, to_step = size;
  for (int d = box.from.shape().rank() - 1; d >= 0; --d) {
    const auto i = static_cast<std::size_t>(d);
    plan.from += box.from_at[i] * from_step;
    plan.to += box.to_at[i] * to_step;
    BoxDim& inner = plan.dims.back();
    if (inner.count * inner.from_step == from_step && inner.count * inner.to_step == to_step) {
      inner.count *= box.extent[i];
    } else if (box.extent[i] != 1) {
      plan.dims.push_back({box.extent[i], from_step, to_step});
    }
    from_step *= box.from.dim(d);
    to_step *= box.to.dim(d);
  }
  return plan;
}

/// Asserts what copy_box() asks for; whether there is anything to copy.
bool checked(const BoxCopy& box) {
  const auto& [from, from_at, to, to_at, extent] = box;
  const int rank = from.shape().rank();
  const auto dims = static_cast<std::size_t>(rank);
  WEFT_ASSERT(rank >= 2 && rank <= 4 && to.shape().rank() == rank && from_at.size() == dims &&
                  to_at.size() == dims && extent.size() == dims && from.dtype() == to.dtype() &&
                  from.device() == to.device(),
              "copy_box {} {} on {} to {} {} on {}", dtype_name(from.dtype()), from.shape().str(),
              device_name(from.device()), dtype_name(to.dtype()), to.shape().str(),
              device_name(to.device()));
  bool empty = false;
  for (int d = 0; d < rank; ++d) {
    const auto i = static_cast<std::size_t>(d);
    WEFT_ASSERT(extent[i] >= 0 && from_at[i] >= 0 && from_at[i] + extent[i] <= from.dim(d) &&
                    to_at[i] >= 0 && to_at[i] + extent[i] <= to.dim(d),
                "copy_box of {} elements at {} and {} of dimension {} in {} and {}", extent[i],
                from_at[i], to_at[i], d, from.shape().str(), to.shape().str());
    empty |= extent[i] == 0;
  }
  return !empty;
}

void add_pieces(const BoxCopy& box, std::vector<PitchedCopy>& pieces) {
  BoxPlan plan = plan_box(box);
  plan.dims.resize(4, {1, 0, 0});
  const BoxDim &row = plan.dims[0], &rows = plan.dims[1], &slices = plan.dims[2],
               &outer = plan.dims[3];
  const auto bytes = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  for (std::int64_t o = 0; o < outer.count; ++o) {
    pieces.push_back({plan.to + o * outer.to_step, bytes(rows.to_step), bytes(slices.to_step),
                      plan.from + o * outer.from_step, bytes(rows.from_step),
                      bytes(slices.from_step), bytes(row.count), bytes(rows.count),
                      bytes(slices.count)});
  }
}

void copy_rows(const PitchedCopy& c) {
  for (std::size_t s = 0; s < c.slices; ++s) {
    for (std::size_t r = 0; r < c.rows; ++r) {
      std::memcpy(static_cast<std::byte*>(c.to) + s * c.to_slice + r * c.to_row,
                  static_cast<const std::byte*>(c.from) + s * c.from_slice + r * c.from_row,
                  c.width);
    }
  }
}

}  // namespace

void copy_boxes(std::span<const BoxCopy> boxes) {
  std::vector<PitchedCopy> pieces;
  for (const BoxCopy& box : boxes) {
    WEFT_ASSERT(box.from.device() == boxes.front().from.device(), "boxes on two kinds of device");
    if (checked(box)) add_pieces(box, pieces);
  }
  if (pieces.empty()) return;
  if (boxes.front().from.device() == DeviceKind::cuda) {
    cuda_device_api()->copy_pitched(pieces);
  } else {
    for (const PitchedCopy& piece : pieces) copy_rows(piece);
  }
}

void copy_box(const Tensor& from, std::span<const std::int64_t> from_at, Tensor to,
              std::span<const std::int64_t> to_at, std::span<const std::int64_t> extent) {
  const auto list = [](std::span<const std::int64_t> x) {
    return std::vector<std::int64_t>(x.begin(), x.end());
  };
  const BoxCopy box{from, list(from_at), std::move(to), list(to_at), list(extent)};
  copy_boxes({&box, 1});
}

}  // namespace weft
