// How a convolution is cut into tiles, the maps for its copies, and the launch.
#include <algorithm>
#include <array>
#include <utility>

#include "check.h"
#include "conv_hopper.h"
#include "conv_hopper_kernel.cuh"
#include "conv_shape.h"
#include "stream.h"

namespace weft::cuda {
namespace {

using hopper::Swizzle;
using hopper_conv::Maps;
using hopper_conv::Place;
using hopper_conv::Plan;
using hopper_conv::set_side;
using hopper_conv::Slice;

int up(std::int64_t size, std::int64_t unit) { return static_cast<int>((size + unit - 1) / unit); }

int slice_of(std::int64_t channels) {
  return channels % 64 == 0 ? 64 : channels % 96 == 0 ? 96 : 0;
}

/// Output channels of a tile: those that leave the least unused, of these the most.
int width_of(std::int64_t outputs, int slice) {
  if (slice == 96) return 96;  // wider tiles leave no room for the rings
  int best = 192;
  for (const int n : {128, 96}) {
    if (up(outputs, n) * n < up(outputs, best) * best) best = n;
  }
  return best;
}

int multiprocessors() {
  static const int count = [] {
    int device = 0;
    int n = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    return n;
  }();
  return count;
}

bool is_hopper() {
  static const bool yes = [] {
    int device = 0;
    int major = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
          "cudaDeviceGetAttribute");
    return major == 9;
  }();
  return yes;
}

/// The shape of a tile with which the blocks come round least often, then the smallest patches.
void choose_tile(Plan& p) {
  constexpr std::array<Place, 5> shapes{{{1, 2, 2}, {1, 1, 4}, {1, 4, 1}, {2, 1, 2}, {2, 2, 1}}};
  std::pair<std::int64_t, int> best{INT64_MAX, 0};
  Plan chosen = p;
  for (const Place& shape : shapes) {
    p.tile = shape;
    p.patch_h = shape.h * set_side + p.kh - 1;
    p.patch_w = shape.w * set_side;
    p.tiles_t = up(p.frames, shape.t);
    p.tiles_h = up(p.rows, shape.h * set_side);
    p.tiles_w = up(p.cols, shape.w * set_side);
    const std::pair<std::int64_t, int> cost{up(p.tiles(), multiprocessors()), p.patch_positions()};
    if (cost < best) {
      best = cost;
      chosen = p;
    }
  }
  p = chosen;
  for (int i = 0; i < 4; ++i) {
    p.sets[i] = {i / p.tile.w / p.tile.h, i / p.tile.w % p.tile.h, i % p.tile.w};
  }
}

/// Shares shared memory out so that both rings reach about as many steps ahead.
void choose_slots(Plan& p, int patch_bytes, int weight_bytes) {
  const int taps = p.kh;
  int furthest = 0;
  for (int patches = 2; patches <= hopper_conv::most_slots; ++patches) {
    const int weights =
        std::min((hopper_conv::slot_bytes_available - patches * patch_bytes) / weight_bytes,
                 hopper_conv::most_slots);
    const int ahead = std::min((patches - 1) * taps, weights - 1);
    if (ahead <= furthest) continue;
    furthest = ahead;
    p.patch_slots = patches;
    p.weight_slots = weights;
  }
  WEFT_ASSERT(furthest > 0, "no room for two patches of {} bytes and two weights of {}",
              patch_bytes, weight_bytes);
}

/// Rows of x's map are positions; the box is a patch.
CUtensorMap x_map(const Tensor& x, const Plan& p, std::uint32_t channels, Swizzle swizzle) {
  const auto c = static_cast<std::uint64_t>(x.dim(3)), w = static_cast<std::uint64_t>(x.dim(2)),
             h = static_cast<std::uint64_t>(x.dim(1)), t = static_cast<std::uint64_t>(x.dim(0));
  const std::uint64_t dims[] = {c, w, h, t};
  const std::uint64_t strides[] = {c * 2, w * c * 2, h * w * c * 2};
  const std::uint32_t box[] = {channels, static_cast<std::uint32_t>(p.patch_w),
                               static_cast<std::uint32_t>(p.patch_h),
                               static_cast<std::uint32_t>(p.tile.t)};
  return hopper::tensor_map(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, x.raw(), dims, strides, box, swizzle);
}

/// The weights' rows of each 32 outputs, copied in the order 0 1 8 9 16 17 24 25, 2 3 10 11 ...:
/// row 8 j + 2 q + e is output 8 q + 2 j + e, so that columns 8 j + 2 q + e of the product (j 0 to
/// 3, e 0 or 1), all in one thread, are eight outputs in a row.
CUtensorMap weights_map(const Tensor& packed, int n, std::uint32_t channels, Swizzle swizzle) {
  const auto rows = static_cast<std::uint64_t>(packed.dim(0));
  const std::uint64_t length = static_cast<std::uint64_t>(packed.numel()) / rows;
  const std::uint64_t row = length * 2;  // bytes
  const std::uint64_t dims[] = {length, 2, 4, 4, rows / 32};
  const std::uint64_t strides[] = {row, 8 * row, 2 * row, 32 * row};
  const std::uint32_t box[] = {channels, 2, 4, 4, static_cast<std::uint32_t>(n / 32)};
  return hopper::tensor_map(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, packed.raw(), dims, strides, box,
                            swizzle);
}

template <int kChannels, int kN>
void launch(Plan p, const Tensor& x, const Tensor& packed, const Tensor& b, const Tensor& residual,
            const Tensor& y) {
  p.slices = p.channels / kChannels;
  p.tiles_n = up(p.outputs, kN);
  choose_tile(p);
  const int patch_bytes = Slice<kChannels>::slot_bytes(p.patch_positions());
  const int weight_bytes = Slice<kChannels>::slot_bytes(kN);
  choose_slots(p, patch_bytes, weight_bytes);
  const int taps = p.kh;  // per patch
  const int steps = p.patches() * taps;
  // About 1500 cycles of one warpgroup's products, as long as it takes to write a tile. The rings
  // hold the steps between the two, and less than a tile beyond, so that the one ahead is never
  // told of twice before the other has looked.
  p.lead = taps == 1 ? 2 : 384 / kN;
  p.weight_slots = std::min(p.weight_slots, steps + p.lead - 1);
  WEFT_ASSERT(p.lead <= p.weight_slots && p.lead <= p.patch_slots * taps && p.lead < steps,
              "conv: {} steps of lead, {} per tile, {} and {} in the rings", p.lead, steps,
              p.weight_slots, p.patch_slots * taps);
  Maps maps{};
  maps.x[0] = x_map(x, p, 64, Swizzle::bytes128);
  maps.weights[0] = weights_map(packed, kN, 64, Swizzle::bytes128);
  if (Slice<kChannels>::narrow) {
    maps.x[1] = x_map(x, p, 32, Swizzle::bytes64);
    maps.weights[1] = weights_map(packed, kN, 32, Swizzle::bytes64);
  }
  const int bytes =
      hopper_conv::part_alignment + p.patch_slots * patch_bytes + p.weight_slots * weight_bytes;
  const auto kernel = hopper_conv::conv_kernel<kChannels, kN>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
        "cudaFuncSetAttribute, shared memory");
  const int blocks = std::min(p.tiles(), multiprocessors());
  kernel<<<blocks, hopper_conv::block_threads, bytes, cuda_stream()>>>(
      maps, p, elements<bf16>(b), residual.defined() ? elements<bf16>(residual) : nullptr,
      elements<bf16>(y));
  check_launch("conv_hopper");
}

}  // namespace

bool conv_hopper_fits(const Tensor& x, const Shape& w, const ConvArgs& args, const Tensor& y) {
  const Tensor& residual = args.residual;
  if (!is_hopper() || x.dtype() != DType::bf16 || y.dtype() != DType::bf16) return false;
  if (residual.defined() && (residual.dtype() != DType::bf16 || !is_aligned(residual, 16))) {
    return false;
  }
  if (!is_aligned(x, 16) || !is_aligned(y, 16) || y.numel() == 0) return false;
  if (args.stride_t != 1 || args.stride_h != 1 || args.stride_w != 1) return false;
  const ConvShape s = conv_shape(x.shape(), w, args);
  const bool wide = s.kh == 3 && s.kw == 3;
  if (!(wide && (s.kt == 1 || s.kt == 3)) && !(s.kt == 3 && s.kh == 1 && s.kw == 1)) return false;
  const int slice = slice_of(s.channels);
  if (slice == 0 || s.outputs % 32 != 0) return false;
  const int n = width_of(s.outputs, slice);
  const std::int64_t computed = std::int64_t{up(s.outputs, n)} * n;
  return 4 * computed <= 5 * s.outputs;  // at most a fifth of the work for nothing
}

void conv_hopper(const Tensor& x, const Tensor& packed, const Tensor& b, const ConvArgs& args,
                 const Tensor& y) {
  WEFT_ASSERT(packed.dtype() == DType::bf16 && b.dtype() == DType::bf16 && is_aligned(b, 16) &&
                  is_aligned(packed, 16) && packed.dim(4) == x.dim(3),
              "conv: x {}, weights {}", x.shape().str(), packed.shape().str());
  Plan p{};
  p.frames = to_int(y.dim(0));
  p.rows = to_int(y.dim(1));
  p.cols = to_int(y.dim(2));
  p.outputs = to_int(y.dim(3));
  p.kt = to_int(packed.dim(1));
  p.kh = to_int(packed.dim(2));
  p.kw = to_int(packed.dim(3));
  p.pad_top = to_int(args.pad_top);
  p.pad_left = to_int(args.pad_left);
  p.channels = to_int(x.dim(3));
  const int slice = slice_of(p.channels);
  const int n = width_of(p.outputs, slice);
  const auto go = slice == 96 ? launch<96, 96>
                  : n == 96   ? launch<64, 96>
                  : n == 128  ? launch<64, 128>
                              : launch<64, 192>;
  go(p, x, packed, b, args.residual, y);
}

}  // namespace weft::cuda
