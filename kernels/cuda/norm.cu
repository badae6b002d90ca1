// Layer norms and gated residuals: bound by memory, so every tensor is read once and written once.
// Other widths than the models', tensors that are not aligned and odd mixtures of types take plain
// kernels, an element at a time.
#include "cuda_ops.h"
#include "few_rows.h"
#include "quantize.cuh"
#include "quantize.h"
#include "team_rows.cuh"

namespace weft::cuda {
namespace {

/// LN(row) weight + bias; `shared` [2, width] holds weight and bias.
template <class X, int width>
class Normalised {
 public:
  using Row = TeamRow<X, width>;
  using Warps = typename Row::Warps;
  static constexpr int pack = Row::pack;
  __device__ Normalised(const Row& row, Warps& team, const float* shared, float eps)
      : row_(row), shared_(shared) {
    mean_ = row.sum_of(team, [](float v) { return v; }) * (1.F / width);
    const float variance = row.sum_of(team, [mean = mean_](float v) {
      return (v - mean) * (v - mean);
    }) * (1.F / width);
    inverse_ = rsqrtf(variance + eps);
  }
  /// Pack k of the lane.
  __device__ void get(int k, float (&to)[pack]) const {
    float w[pack], b[pack];
    load_shared<pack, width>(shared_, Row::column(k), w);
    load_shared<pack, width>(shared_ + width, Row::column(k), b);
#pragma unroll
    for (int i = 0; i < pack; ++i) {
      to[i] = (to_float(row_.packs[k].x[i]) - mean_) * inverse_ * w[i] + b[i];
    }
  }

 private:
  const Row& row_;
  const float* shared_;
  float mean_, inverse_;
};

/// Rows in e4m3 with their scales, or from one of them on.
struct E4m3Rows {
  std::uint8_t* values;
  float* scale;
};

template <int width, class Y>
__device__ Y* row_at(Y* y, std::int64_t token) {
  return y + token * width;
}
template <int width>
__device__ E4m3Rows row_at(const E4m3Rows& y, std::int64_t token) {
  return {y.values + token * width, y.scale + token};
}

template <class X, int width, class Y>
__device__ void write_layer_norm(const TeamRow<X, width>& row,
                                 typename TeamRow<X, width>::Warps& team, const float* shared,
                                 float eps, Y* y) {
  const Normalised<X, width> norm(row, team, shared, eps);
#pragma unroll
  for (int k = 0; k < row.count; ++k) {
    float to[pack_size<X>];
    norm.get(k, to);
    store(y + row.column(k), to);
  }
}

/// Rounded to bfloat16 first: the same bits as by way of a bfloat16 tensor.
template <class X, int width>
__device__ void write_layer_norm(const TeamRow<X, width>& row,
                                 typename TeamRow<X, width>::Warps& team, const float* shared,
                                 float eps, const E4m3Rows& y) {
  constexpr int pack = pack_size<X>, count = TeamRow<X, width>::count;
  const Normalised<X, width> norm(row, team, shared, eps);
  Pack<bf16, pack> rounded[count];
  float most = 0;
#pragma unroll
  for (int k = 0; k < count; ++k) {
    float to[pack];
    norm.get(k, to);
    rounded[k] = rounded_pack(to);
    most = largest(rounded[k], most);
  }
  most = team.max(most);
  const float factor = row_factor(most);
#pragma unroll
  for (int k = 0; k < count; ++k) store_e4m3(y.values + row.column(k), rounded[k], factor);
  if (team.lane() == 0) *y.scale = row_scale(most);
}

/// `To`: Y* for rows of Y, or E4m3Rows.
template <int width, class X, class To>
__global__ void __launch_bounds__(block_threads, 2)
    layer_norm_rows(const X* x, std::int64_t tokens, TokenParameter weight, TokenParameter bias,
                    float eps, To y) {
  float* shared = reinterpret_cast<float*>(dynamic_shared);
  for_tokens<X, width>({weight, bias}, tokens, shared, [=](std::int64_t token, auto& team) {
    TeamRow<X, width> row;
    row.read(x + token * width);
    write_layer_norm(row, team, shared, eps, row_at<width>(y, token));
  });
}

/// x += y gate; h = LN(x) weight + bias, with x as it was rounded. `To`: Y* or E4m3Rows.
template <int width, class X, class Y, class To>
__global__ void __launch_bounds__(block_threads, 2)
    residual_layer_norm_rows(X* x, const Y* y, std::int64_t tokens, TokenParameter weight,
                             TokenParameter bias, TokenParameter gate, float eps, To h) {
  constexpr int pack = pack_size<X>;
  float* shared = reinterpret_cast<float*>(dynamic_shared);
  const bool gated = gate.last != nullptr;
  for_tokens<X, width>({weight, bias, gate}, tokens, shared, [=](std::int64_t token, auto& team) {
    TeamRow<X, width> row;
    row.read(x + token * width);
#pragma unroll
    for (int k = 0; k < row.count; ++k) {  // no store in between: the loads of y overlap
      float added[pack], g[pack];
      load(y + token * width + row.column(k), added);
      if (gated) {
        load_shared<pack, width>(shared + 2 * width, row.column(k), g);
      } else {
#pragma unroll
        for (float& value : g) value = 1;
      }
#pragma unroll
      for (int i = 0; i < pack; ++i) {
        row.packs[k].x[i] = from_float<X>(to_float(row.packs[k].x[i]) + added[i] * g[i]);
      }
    }
    row.write(x + token * width);
    write_layer_norm(row, team, shared, eps, row_at<width>(h, token));
  });
}

template <class X, class Y>
__global__ void __launch_bounds__(block_threads)
    layer_norm_plain(const X* x, Rows rows, TokenParameter weight, TokenParameter bias, float eps,
                     Y* y) {
  const std::int64_t token = row_of_warp();
  if (token >= rows.count) return;
  const X* from = x + token * rows.width;
  const float* w = weight.at(token);
  const float* b = bias.at(token);
  const float n = static_cast<float>(rows.width);
  const float mean = row_sum(from, rows.width, [](float v) { return v; }) / n;
  const float variance =
      row_sum(from, rows.width, [mean](float v) { return (v - mean) * (v - mean); }) / n;
  const float inverse = rsqrtf(variance + eps);
  for (int j = lane(); j < rows.width; j += warp) {
    y[token * rows.width + j] = from_float<Y>((to_float(from[j]) - mean) * inverse * w[j] + b[j]);
  }
}

/// x += y gate, a warp per row, `pack` elements at a time (1: any width and alignment). A few packs
/// are loaded together, since a load cannot pass the store before it.
template <int pack, class X, class Y>
__global__ void __launch_bounds__(block_threads)
    gated_residual_rows(X* x, const Y* y, Rows rows, TokenParameter gate) {
  constexpr int together = 4;
  const std::int64_t token = row_of_warp();
  if (token >= rows.count) return;
  X* to = x + token * rows.width;
  const Y* from = y + token * rows.width;
  const float* g = gate.at(token);
  for (int begin = lane() * pack; begin < rows.width; begin += together * warp * pack) {
    float sum[together][pack], added[together][pack];
#pragma unroll
    for (int k = 0; k < together; ++k) {
      const int column = begin + k * warp * pack;
      if (column >= rows.width) continue;
      load(to + column, sum[k]);
      load(from + column, added[k]);
    }
#pragma unroll
    for (int k = 0; k < together; ++k) {
      const int column = begin + k * warp * pack;
      if (column >= rows.width) continue;
      float factor[pack];
      load(g + column, factor);
#pragma unroll
      for (int i = 0; i < pack; ++i) sum[k][i] += added[k][i] * factor[i];
      store(to + column, sum[k]);
    }
  }
}

struct NormParameters {
  TokenParameter weight, bias, gate;
  float eps;
};

/// False at other widths than the models'.
template <class X, class To>
bool run_layer_norm(const X* x, const Rows& rows, const NormParameters& p, To y) {
  return at_model_width(rows.width, [&](auto width) {
    launch_resident<layer_norm_rows<width, X, To>>(
        "layer_norm", rows.count, block_warps / team_warps<X, width>, shared_bytes(2, width), x,
        rows.count, p.weight, p.bias, p.eps, y);
  });
}

template <class X, class Y, class To>
bool run_residual_layer_norm(X* x, const Y* y, const Rows& rows, const NormParameters& p, To h) {
  return at_model_width(rows.width, [&](auto width) {
    launch_resident<residual_layer_norm_rows<width, X, Y, To>>(
        "residual_layer_norm", rows.count, block_warps / team_warps<X, width>,
        shared_bytes(3, width), x, y, rows.count, p.weight, p.bias, p.gate, p.eps, h);
  });
}

E4m3Rows e4m3_rows(const Tensor& y) {
  const Quantized q = quantized_view(y);
  return {reinterpret_cast<std::uint8_t*>(q.values.raw()), elements<float>(q.scale)};
}

}  // namespace

// In e4m3 where the norms have a kernel for it and linear() multiplies in it.
Tensor CudaOps::linear_input(std::int64_t rows, std::int64_t cols) const {
  const bool model_width = at_model_width(static_cast<int>(cols), [](auto) {});
  if (precision_ == Precision::fp8 && rows > few_rows && model_width) {
    return quantized_rows(rows, cols);
  }
  return Ops::linear_input(rows, cols);
}

void CudaOps::layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias, float eps,
                         Tensor y) {
  const Rows rows = rows_of(x, y, "layer_norm");
  const NormParameters p{token_parameter(weight, rows, "layer_norm"),
                         token_parameter(bias, rows, "layer_norm"),
                         {},
                         eps};
  if (rows.count == 0) return;
  if (y.dtype() == DType::f8e4m3) {
    const bool done =
        aligned(x, pack_size<bf16>) && run_layer_norm(elements<bf16>(x), rows, p, e4m3_rows(y));
    WEFT_ASSERT(done, "layer_norm: no kernel for {} in e4m3", x.shape().str());
    return;
  }
  by_types(x, y, [&](auto of_x, auto of_y) {
    using X = decltype(of_x);
    using Y = decltype(of_y);
    const X* from = elements<X>(x);
    Y* to = elements<Y>(y);
    if constexpr (sizeof(X) >= sizeof(Y)) {
      if (aligned(x, pack_size<X>) && aligned(y, pack_size<X>) &&
          run_layer_norm(from, rows, p, to)) {
        return;
      }
    }
    launch_per_row("layer_norm, plain", layer_norm_plain<X, Y>, rows.count, from, rows, p.weight,
                   p.bias, eps, to);
  });
}

void CudaOps::residual_layer_norm(Tensor x, const Tensor& y, const TokenRows& gate,
                                  const TokenRows& weight, const TokenRows& bias, float eps,
                                  Tensor h) {
  const Rows rows = rows_of(x, y, "residual_layer_norm");
  rows_of(x, h, "residual_layer_norm");
  NormParameters p{token_parameter(weight, rows, "residual_layer_norm"),
                   token_parameter(bias, rows, "residual_layer_norm"),
                   {},
                   eps};
  if (gate.rows.defined()) p.gate = token_parameter(gate, rows, "residual_layer_norm");
  if (rows.count == 0) return;
  bool done = false;
  by_types(x, y, [&](auto of_x, auto of_y) {
    using X = decltype(of_x);
    using Y = decltype(of_y);
    if constexpr (sizeof(X) >= sizeof(Y)) {
      if (!aligned(x, pack_size<X>) || !aligned(y, pack_size<X>)) return;
      if (h.dtype() == y.dtype() && aligned(h, pack_size<X>)) {
        done = run_residual_layer_norm(elements<X>(x), elements<Y>(y), rows, p, elements<Y>(h));
      }
    }
    if constexpr (sizeof(X) == sizeof(bf16) && sizeof(Y) == sizeof(bf16)) {
      if (h.dtype() == DType::f8e4m3) {
        done = run_residual_layer_norm(elements<X>(x), elements<Y>(y), rows, p, e4m3_rows(h));
      }
    }
  });
  if (!done) Ops::residual_layer_norm(x, y, gate, weight, bias, eps, h);
}

void CudaOps::gated_residual(Tensor x, const Tensor& y, const TokenRows& gate) {
  const Rows rows = rows_of(x, y, "gated_residual");
  const TokenParameter g = token_parameter(gate, rows, "gated_residual");
  if (rows.count == 0) return;
  by_types(x, y, [&](auto of_x, auto of_y) {
    using X = decltype(of_x);
    using Y = decltype(of_y);
    constexpr int pack = pack_size<X>;
    const bool packs = aligned(x, pack) && aligned(y, pack) && aligned(gate.rows, pack);
    launch_per_row("gated_residual",
                   packs ? gated_residual_rows<pack, X, Y> : gated_residual_rows<1, X, Y>,
                   rows.count, elements<X>(x), elements<Y>(y), rows, g);
  });
}

}  // namespace weft::cuda
