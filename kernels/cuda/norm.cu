// Layer norms and gated residuals: bound by memory, so every tensor is read once and written once.
// Other widths than the models', tensors that are not aligned and odd mixtures of types take plain
// kernels, an element at a time.
#include "cuda_ops.h"
#include "team_rows.cuh"

namespace weft::cuda {
namespace {

/// y = LN(row) weight + bias; `shared` [2, width] holds weight and bias.
template <class X, int width, class Y>
__device__ void write_layer_norm(const TeamRow<X, width>& row,
                                 typename TeamRow<X, width>::Warps& team, const float* shared,
                                 float eps, Y* y) {
  constexpr int pack = pack_size<X>;
  const float mean = row.sum_of(team, [](float v) { return v; }) * (1.F / width);
  const float variance =
      row.sum_of(team, [mean](float v) { return (v - mean) * (v - mean); }) * (1.F / width);
  const float inverse = rsqrtf(variance + eps);
#pragma unroll
  for (int k = 0; k < row.count; ++k) {
    const int column = row.column(k);
    float w[pack], b[pack], to[pack];
    load_shared<pack, width>(shared, column, w);
    load_shared<pack, width>(shared + width, column, b);
#pragma unroll
    for (int i = 0; i < pack; ++i) {
      to[i] = (to_float(row.packs[k].x[i]) - mean) * inverse * w[i] + b[i];
    }
    store(y + column, to);
  }
}

template <int width, class X, class Y>
__global__ void __launch_bounds__(block_threads, 2)
    layer_norm_rows(const X* x, std::int64_t tokens, TokenParameter weight, TokenParameter bias,
                    float eps, Y* y) {
  float* shared = reinterpret_cast<float*>(dynamic_shared);
  for_tokens<X, width>({weight, bias}, tokens, shared, [=](std::int64_t token, auto& team) {
    TeamRow<X, width> row;
    row.read(x + token * width);
    write_layer_norm(row, team, shared, eps, y + token * width);
  });
}

/// x += y gate; h = LN(x) weight + bias, with x as it was rounded. y and h are of one type.
template <int width, class X, class Y>
__global__ void __launch_bounds__(block_threads, 2)
    residual_layer_norm_rows(X* x, const Y* y, std::int64_t tokens, TokenParameter weight,
                             TokenParameter bias, TokenParameter gate, float eps, Y* h) {
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
    write_layer_norm(row, team, shared, eps, h + token * width);
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

}  // namespace

void CudaOps::layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias, float eps,
                         Tensor y) {
  const Rows rows = rows_of(x, y, "layer_norm");
  const TokenParameter w = token_parameter(weight, rows, "layer_norm");
  const TokenParameter b = token_parameter(bias, rows, "layer_norm");
  if (rows.count == 0) return;
  by_types(x, y, [&](auto of_x, auto of_y) {
    using X = decltype(of_x);
    using Y = decltype(of_y);
    const X* from = elements<X>(x);
    Y* to = elements<Y>(y);
    if constexpr (sizeof(X) >= sizeof(Y)) {
      if (aligned(x, pack_size<X>) && aligned(y, pack_size<X>) &&
          at_model_width(rows.width, [&](auto width) {
            launch_resident<layer_norm_rows<width, X, Y>>(
                "layer_norm", rows.count, block_warps / team_warps<X, width>,
                shared_bytes(2, width), from, rows.count, w, b, eps, to);
          })) {
        return;
      }
    }
    launch_per_row("layer_norm, plain", layer_norm_plain<X, Y>, rows.count, from, rows, w, b, eps,
                   to);
  });
}

void CudaOps::residual_layer_norm(Tensor x, const Tensor& y, const TokenRows& gate,
                                  const TokenRows& weight, const TokenRows& bias, float eps,
                                  Tensor h) {
  const Rows rows = rows_of(x, y, "residual_layer_norm");
  rows_of(x, h, "residual_layer_norm");
  const TokenParameter w = token_parameter(weight, rows, "residual_layer_norm");
  const TokenParameter b = token_parameter(bias, rows, "residual_layer_norm");
  TokenParameter g;
  if (gate.rows.defined()) g = token_parameter(gate, rows, "residual_layer_norm");
  if (rows.count == 0) return;
  bool done = false;
  by_types(x, y, [&](auto of_x, auto of_y) {
    using X = decltype(of_x);
    using Y = decltype(of_y);
    if constexpr (sizeof(X) >= sizeof(Y)) {
      done = h.dtype() == y.dtype() && aligned(x, pack_size<X>) && aligned(y, pack_size<X>) &&
             aligned(h, pack_size<X>) && at_model_width(rows.width, [&](auto width) {
               launch_resident<residual_layer_norm_rows<width, X, Y>>(
                   "residual_layer_norm", rows.count, block_warps / team_warps<X, width>,
                   shared_bytes(3, width), elements<X>(x), elements<Y>(y), rows.count, w, b, g, eps,
                   elements<Y>(h));
             });
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
