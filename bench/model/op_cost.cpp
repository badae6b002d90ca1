#include "op_cost.h"

#include <algorithm>

namespace weft::bench {
namespace {

double sum_bytes(std::span<const Tensor> tensors) {
  double sum = 0;
  for (const Tensor& t : tensors) sum += bytes_of(t);
  return sum;
}

double count(const Tensor& t) { return static_cast<double>(t.numel()); }

/// "3x3x3".
std::string by(std::span<const std::int64_t> sizes) {
  return fmt::format("{}", fmt::join(sizes, "x"));
}

/// " stride 1x2x2 pad 1": only what is not the usual.
std::string options(const ConvArgs& a) {
  std::string text;
  if (a.stride_t != 1 || a.stride_h != 1 || a.stride_w != 1) {
    text += fmt::format(" stride {}x{}x{}", a.stride_t, a.stride_h, a.stride_w);
  }
  if (a.pad_top == a.pad_bottom && a.pad_top == a.pad_left && a.pad_top == a.pad_right) {
    if (a.pad_top != 0) text += fmt::format(" pad {}", a.pad_top);
  } else {
    text += fmt::format(" pad {}/{}/{}/{}", a.pad_top, a.pad_bottom, a.pad_left, a.pad_right);
  }
  if (a.residual.defined()) text += " + residual";
  return text;
}

}  // namespace

const char* activation_suffix(Activation act) {
  switch (act) {
    case Activation::none:
      return "";
    case Activation::gelu_tanh:
      return " gelu";
    case Activation::silu:
      return " silu";
  }
  return "";
}

std::string types_suffix(std::initializer_list<Tensor> tensors) {
  const DType first = tensors.begin()->dtype();
  if (std::all_of(tensors.begin(), tensors.end(),
                  [&](const Tensor& t) { return t.dtype() == first; })) {
    return fmt::format(", {}", dtype_name(first));
  }
  std::string text;
  for (const Tensor& t : tensors) {
    text += fmt::format("{}{}", text.empty() ? ", " : "/", dtype_name(t.dtype()));
  }
  return text;
}

OpCost linear_cost(const Tensor& x, std::span<const Tensor> w, std::span<const Tensor> b,
                   std::span<const Tensor> y, Activation act) {
  const std::string outputs = w.size() == 1 ? fmt::format("{}", w[0].dim(0))
                                            : fmt::format("{} x {}", w.size(), w[0].dim(0));
  double flops = 0;
  for (const Tensor& weight : w) {
    flops += 2 * static_cast<double>(x.dim(0)) * count(weight);
  }
  return {fmt::format("{} {} -> {}{}{}", w.size() == 1 ? "linear" : "linear_group", x.shape().str(),
                      outputs, activation_suffix(act), types_suffix({x, w[0], y[0]})),
          flops, bytes_of(x) + sum_bytes(w) + sum_bytes(b) + sum_bytes(y)};
}

OpCost attention_cost(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                      const Tensor& out) {
  std::string options;
  if (args.last_key_logit != 0) options += ", merged key";
  if (args.bias.defined()) options += ", bias";
  if (args.lse.defined()) options += ", lse";
  return {fmt::format("attention {} over {} keys{}{}", q.shape().str(), k.dim(0), options,
                      types_suffix({q, k, v, out})),
          4 * count(q) * static_cast<double>(k.dim(0)),
          bytes_of(q, k, v, args.bias, args.lse, out)};
}

OpCost conv_cost(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                 const Tensor& y) {
  // Every value of y sums one filter; products with the zeros around a frame count.
  const double filter = count(w) / static_cast<double>(w.dim(0));
  return {fmt::format("conv {} * {} -> {}{}{}", x.shape().str(), by(w.shape().dims().subspan(2)),
                      w.dim(0), options(args), types_suffix({x, w, y})),
          2 * count(y) * filter, bytes_of(x, w, b, args.residual, y)};
}

}  // namespace weft::bench
