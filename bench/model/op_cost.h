#pragma once
// What one call of an operation is and what it must do, from the shapes and types of its tensors.

#include <string>

#include "weft/ops/ops.h"

namespace weft::bench {

/// Calls with equal names are alike: same shapes, types and options.
struct OpCost {
  std::string name;  // "linear [32760, 1536] -> 8960 gelu, bf16"
  double flops = 0;  // 0: bound by memory
  double bytes = 0;  // every input read once, every output written once, types as passed
};

OpCost linear_cost(const Tensor& x, std::span<const Tensor> w, std::span<const Tensor> b,
                   std::span<const Tensor> y, Activation act);
OpCost attention_cost(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                      const Tensor& out);
OpCost conv_cost(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                 const Tensor& y);

/// " gelu", " silu" or "".
const char* activation_suffix(Activation act);
/// ", bf16" when all are of one type, else ", f32/bf16" in the order given.
std::string types_suffix(std::initializer_list<Tensor> tensors);

/// Rows in e4m3 come with a float32 scale each.
inline double bytes_of(const Tensor& t) {
  if (!t.defined()) return 0.0;
  const double scales = t.dtype() == DType::f8e4m3 ? 4.0 * static_cast<double>(t.dim(0)) : 0.0;
  return static_cast<double>(t.bytes()) + scales;
}
inline double bytes_of(const TokenRows& r) { return bytes_of(r.rows); }
/// A tensor that is read and written is given twice.
template <class... T>
double bytes_of(const T&... tensors) {
  return (bytes_of(tensors) + ...);
}

}  // namespace weft::bench
