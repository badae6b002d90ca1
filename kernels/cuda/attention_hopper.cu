#include <array>

#include "attention_hopper.h"
#include "attention_hopper_kernel.cuh"

namespace weft::cuda {
namespace hopper_attention {
namespace {

// Boxes of `box_columns` by `box_rows`; the box's rows are 128 bytes, those of the swizzle. Sizes
// and strides begin at the innermost; strides, of all but that, in bytes.
CUtensorMap tensor_map(const void* data, CUtensorMapDataType type,
                       const std::array<std::uint64_t, 3>& sizes,
                       const std::array<std::uint64_t, 2>& strides, int box_columns, int box_rows) {
  const std::array<std::uint32_t, 3> box{static_cast<std::uint32_t>(box_columns),
                                         static_cast<std::uint32_t>(box_rows), 1};
  return hopper::tensor_map(type, data, sizes, strides, box, hopper::Swizzle::bytes128);
}

CUtensorMap tensor_map(const Tensor& x, CUtensorMapDataType type, int box_columns, int box_rows) {
  const auto rows = static_cast<std::uint64_t>(x.dim(0));
  const auto heads = static_cast<std::uint64_t>(x.dim(1));
  const std::uint64_t row_bytes = head_width * dtype_size(x.dtype());
  return tensor_map(x.raw(), type, {head_width, rows, heads}, {heads * row_bytes, row_bytes},
                    box_columns, box_rows);
}

}  // namespace

CUtensorMap head_map(const Tensor& x, int box_rows) {
  WEFT_ASSERT(x.dtype() == DType::bf16, "tensor holds {}", dtype_name(x.dtype()));
  return tensor_map(x, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, half_width, box_rows);
}

CUtensorMap e4m3_head_map(const Tensor& x, int box_rows) {
  WEFT_ASSERT(x.dtype() == DType::f8e4m3, "tensor holds {}", dtype_name(x.dtype()));
  return tensor_map(x, CU_TENSOR_MAP_DATA_TYPE_UINT8, head_width, box_rows);
}

CUtensorMap e4m3_transposed_map(const Tensor& x) {
  WEFT_ASSERT(x.dtype() == DType::f8e4m3, "tensor holds {}", dtype_name(x.dtype()));
  const auto heads = static_cast<std::uint64_t>(x.dim(0));
  const auto columns = static_cast<std::uint64_t>(x.dim(1));
  const auto rows = static_cast<std::uint64_t>(x.dim(2));
  return tensor_map(x.raw(), CU_TENSOR_MAP_DATA_TYPE_UINT8, {rows, columns, heads},
                    {rows, columns * rows}, 128, head_width);
}

}  // namespace hopper_attention

namespace {

bool is_hopper() {
  static const bool hopper = [] {
    int device = 0;
    int major = 0;
    int minor = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
          "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
          "cudaDeviceGetAttribute");
    return major == 9 && minor == 0;
  }();
  return hopper;
}

// Tensor maps want addresses that are multiples of 16 bytes.
bool is_mappable(const Tensor& x) {
  return x.dtype() == DType::bf16 && x.dim(2) == hopper_attention::head_width && x.numel() > 0 &&
         reinterpret_cast<std::uintptr_t>(x.raw()) % 16 == 0;
}

}  // namespace

bool attention_hopper_fits(const Tensor& q, const Tensor& k, const AttentionArgs& args) {
  // Rows and work are counted in 32 bits; tensors of more rows do not exist.
  constexpr std::int64_t most = std::int64_t{1} << 28;
  return is_mappable(q) && is_mappable(k) && q.dim(0) * q.dim(1) < most && k.dim(0) < most &&
         !args.bias.defined() && args.scale > 0 && is_hopper();
}

namespace {

template <int query_stages>
using Chosen = hopper_attention::Tiling<3, 128, false, false, true, 2, query_stages>;

/// Keys of a prompt: an item has so few tiles that it pays to have the next one's queries at hand.
bool few_keys(const Tensor& k) { return k.dim(0) <= 1024; }

}  // namespace

void attention_hopper(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                      const Tensor& out) {
  const auto run = few_keys(k) ? hopper_attention::attention_tiled<Chosen<2>>
                               : hopper_attention::attention_tiled<Chosen<1>>;
  run(q, k, v, args, out);
}

void add_attention_hopper(const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttentionArgs& args, const Tensor& out) {
  hopper_attention::add_attention_tiled<Chosen<1>>(q, k, v, args, out);
}

void attention_hopper_e4m3(const Tensor& q, const Tensor& k, const Tensor& v,
                           const AttentionArgs& args, const float* largest_out, const Tensor& out) {
  const auto run = few_keys(k) ? hopper_attention::attention_tiled_e4m3<Chosen<2>>
                               : hopper_attention::attention_tiled_e4m3<Chosen<1>>;
  run(q, k, v, args, largest_out, out);
}

bool attention_of_e4m3_fits(const Shape& q) {
  constexpr std::int64_t most = std::int64_t{1} << 28;
  return q[2] == hopper_attention::head_width && q[0] * q[1] < most && is_hopper();
}

void attention_of_e4m3(const E4m3Operands& x, const AttentionArgs& args, const Tensor& out) {
  using enum hopper_attention::Result;
  const auto run = out.dtype() == DType::f8e4m3 ? hopper_attention::launch_e4m3<e4m3>
                                                : hopper_attention::launch_e4m3<plain>;
  run(x, args, out);
}

void add_attention_of_e4m3(const E4m3Operands& x, const AttentionArgs& args, const Tensor& out) {
  hopper_attention::launch_e4m3<hopper_attention::Result::added>(x, args, out);
}

}  // namespace weft::cuda
