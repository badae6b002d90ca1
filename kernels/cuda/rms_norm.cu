// Root-mean-square norms: of queries and keys with their rotary embedding, and of the channels of
// each position of a video.
#include <cmath>
#include <type_traits>

#include "attention.h"
#include "attention_fp8.h"
#include "cuda_ops.h"
#include "quantize.cuh"
#include "team_rows.cuh"

namespace weft::cuda {
namespace {

/// Rotary embedding: cos and sin [N, pairs] of each head's adjacent pairs.
struct Rope {
  const float* cos = nullptr;
  const float* sin = nullptr;
  int pairs = 0;
};

/// Whether a lane with every 32nd pack of a row meets the same pairs of each head, and may load
/// their cos and sin in one access.
bool same_pairs_for_a_lane(const Rope& rope, int pack) {
  const auto fits = [&](const float* p) {
    return reinterpret_cast<std::uintptr_t>(p) % (static_cast<unsigned>(pack) / 2 * 4) == 0;
  };
  return warp * pack % (2 * rope.pairs) == 0 && 2 * rope.pairs % pack == 0 && fits(rope.cos) &&
         fits(rope.sin);
}

/// Tokens in e4m3 with one scale, that of the largest value that can be: a row over its root mean
/// square has squares that sum up to D at most, so a pair of it times two weights is no longer than
/// sqrt(D) max |w|, and rotation does not change its length. A value as large as its weight, which
/// is the usual one, lies at 448 / sqrt(D) = 6.3 for D = 5120 (11 for 1536) where its weight is the
/// largest: 400 times e4m3's smallest normal number, 2^-6, down to which it has all 4 bits of its
/// precision. The largest of a clip's normal values is 5 to 6 such: a scale from it would put them
/// 13 times higher and gain nothing, but for values 400 times smaller than the usual, which count
/// for as much less.
struct E4m3Tokens {
  std::uint8_t* values;
  TokenScale* scale;
};

/// What the values are multiplied by before they are stored: the same in all threads and blocks.
template <int width>
__device__ float factor_of(const E4m3Tokens& y, const float* weight) {
  __shared__ float parts[block_warps];
  float most = 0;
  for (int j = static_cast<int>(threadIdx.x); j < width; j += block_threads) {
    most = fmaxf(most, fabsf(weight[j]));
  }
  most = warp_max(most);
  if (lane() == 0) parts[warp_in_block()] = most;
  __syncthreads();
  most = parts[0];
#pragma unroll
  for (int i = 1; i < block_warps; ++i) most = fmaxf(most, parts[i]);
  // Of weights that are zeros the values are, too, and may have any scale.
  const float bound = most == 0 ? largest_e4m3 : sqrtf(static_cast<float>(width)) * most;
  if (blockIdx.x == 0 && threadIdx.x == 0) y.scale->descale = bound / largest_e4m3;
  return largest_e4m3 / bound;
}
template <int width, class Y>
__device__ float factor_of(Y* /*y*/, const float* /*weight*/) {
  return 1;
}

template <int pack>
__device__ void store_at(const E4m3Tokens& y, std::int64_t i, const float (&x)[pack],
                         float factor) {
  store_e4m3(y.values + i, x, factor);
}
template <int pack, class Y>
__device__ void store_at(Y* y, std::int64_t i, const float (&x)[pack], float /*factor*/) {
  store(y + i, x);
}

/// `To`: Y* or E4m3Tokens. x and y may be the same: a lane has read its part of the row before it
/// writes there. With `rotate`, same_pairs_for_a_lane() holds.
template <int width, bool rotate, class X, class To>
__global__ void __launch_bounds__(block_threads, 2)
    rms_norm_rows(const X* x, std::int64_t tokens, TokenParameter weight, float eps, Rope rope,
                  To y) {
  constexpr int pack = pack_size<X>;
  const float factor = factor_of<width>(y, weight.last);
  float* shared = reinterpret_cast<float*>(dynamic_shared);
  for_tokens<X, width>({weight}, tokens, shared, [=](std::int64_t token, auto& team) {
    TeamRow<X, width> row;
    row.read(x + token * width);
    [[maybe_unused]] float c[pack / 2], s[pack / 2];
    if constexpr (rotate) {
      const std::int64_t first = token * rope.pairs + row.column(0) / 2 % rope.pairs;
      load(rope.cos + first, c);
      load(rope.sin + first, s);
    }
    const float inverse =
        rsqrtf(row.sum_of(team, [](float v) { return v * v; }) * (1.F / width) + eps);
#pragma unroll
    for (int k = 0; k < row.count; ++k) {
      float to[pack];
      load_shared<pack, width>(shared, row.column(k), to);
#pragma unroll
      for (int i = 0; i < pack; ++i) to[i] *= to_float(row.packs[k].x[i]) * inverse;
      if constexpr (rotate) {
#pragma unroll
        for (int i = 0; i < pack / 2; ++i) {
          const float x1 = to[2 * i], x2 = to[2 * i + 1];
          to[2 * i] = x1 * c[i] - x2 * s[i];
          to[2 * i + 1] = x1 * s[i] + x2 * c[i];
        }
      }
      store_at(y, token * width + row.column(k), to, factor);
    }
  });
}

/// x and y may be the same: the sum is complete before the first write, and each element (each
/// pair) is read and written by one lane. Without rotation rope.cos is nullptr.
template <class X, class Y>
__global__ void __launch_bounds__(block_threads)
    rms_norm_plain(const X* x, Rows rows, const float* weight, float eps, Rope rope, Y* y) {
  const std::int64_t token = row_of_warp();
  if (token >= rows.count) return;
  const X* from = x + token * rows.width;
  Y* to = y + token * rows.width;
  const float squares = row_sum(from, rows.width, [](float v) { return v * v; });
  const float inverse = rsqrtf(squares / static_cast<float>(rows.width) + eps);
  const auto value = [&](int j) { return to_float(from[j]) * inverse * weight[j]; };
  if (rope.cos == nullptr) {
    for (int j = lane(); j < rows.width; j += warp) to[j] = from_float<Y>(value(j));
    return;
  }
  for (int pair = lane(); pair < rows.width / 2; pair += warp) {
    const std::int64_t angle = token * rope.pairs + pair % rope.pairs;
    const float c = rope.cos[angle], s = rope.sin[angle];
    const float x1 = value(2 * pair), x2 = value(2 * pair + 1);
    to[2 * pair] = from_float<Y>(x1 * c - x2 * s);
    to[2 * pair + 1] = from_float<Y>(x1 * s + x2 * c);
  }
}

// ---- channels of one position ----------------------------------------------------------------

struct ChannelNorm {
  const float* gamma;
  float root;  // sqrt(C)
  bool silu;
};

/// root / max(|x|, 1e-12); a NaN stays one.
__device__ inline float channel_factor(float squares, float root) {
  const float norm = sqrtf(squares);
  return root / (norm < 1e-12F ? 1e-12F : norm);
}

/// With the hardware's exponential and reciprocal: the exact ones would take longer than the memory
/// does. For x below -87 the quotient is 0.
__device__ inline float quick_silu(float x) { return __fdividef(x, 1 + __expf(-x)); }

/// `lanes` lanes (a power of two) share a position and hold at most `count` packs each; a warp has
/// 32 / lanes positions at a time. A lane's part of gamma is the same for all its positions.
template <int count, class X, class Y>
__global__ void __launch_bounds__(block_threads)
    channel_norm_groups(const X* x, Rows rows, int lanes, ChannelNorm norm, Y* y) {
  constexpr int pack = pack_size<X>;
  const int first = lane() % lanes * pack;
  float gamma[count][pack];
#pragma unroll
  for (int k = 0; k < count; ++k) {
    const int column = first + k * lanes * pack;
#pragma unroll
    for (int i = 0; i < pack; ++i) gamma[k][i] = column < rows.width ? norm.gamma[column + i] : 0;
  }
  const int groups = warp / lanes;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * block_warps * groups;
  // The bound is the same for all lanes of the warp: all of them take part in the sums.
  for (std::int64_t begin = row_of_warp() * groups; begin < rows.count; begin += step) {
    const std::int64_t position = begin + lane() / lanes;
    const std::int64_t offset = position * rows.width;
    float value[count][pack] = {};
    float squares = 0;
#pragma unroll
    for (int k = 0; k < count; ++k) {
      const int column = first + k * lanes * pack;
      if (position < rows.count && column < rows.width) load(x + offset + column, value[k]);
    }
#pragma unroll
    for (int k = 0; k < count; ++k) {
#pragma unroll
      for (int i = 0; i < pack; ++i) squares += value[k][i] * value[k][i];
    }
    for (int half = lanes / 2; half > 0; half /= 2) {
      squares += __shfl_xor_sync(0xFFFFFFFFU, squares, half);
    }
    const float factor = channel_factor(squares, norm.root);
#pragma unroll
    for (int k = 0; k < count; ++k) {
      const int column = first + k * lanes * pack;
#pragma unroll
      for (int i = 0; i < pack; ++i) {
        value[k][i] *= factor * gamma[k][i];
        if (norm.silu) value[k][i] = quick_silu(value[k][i]);
      }
      if (position < rows.count && column < rows.width) store(y + offset + column, value[k]);
    }
  }
}

template <class X, class Y>
__global__ void __launch_bounds__(block_threads)
    channel_norm_plain(const X* x, Rows rows, ChannelNorm norm, Y* y) {
  const std::int64_t position = row_of_warp();
  if (position >= rows.count) return;
  const X* from = x + position * rows.width;
  const float factor =
      channel_factor(row_sum(from, rows.width, [](float v) { return v * v; }), norm.root);
  for (int j = lane(); j < rows.width; j += warp) {
    const float value = to_float(from[j]) * (factor * norm.gamma[j]);
    y[position * rows.width + j] = from_float<Y>(norm.silu ? quick_silu(value) : value);
  }
}

/// The transformers' rows and, where nothing is rotated, the text encoder's (4096).
template <bool rotate, class F>
bool at_rms_norm_width(int width, F f) {
  if (at_model_width(width, f)) return true;
  if constexpr (!rotate) return at_width_of<4096>(width, f);
  return false;
}

/// False at other widths than these.
template <bool rotate, class X, class To>
bool run_rms_norm_rows(const X* x, const Rows& rows, const float* weight, float eps,
                       const Rope& rope, To y) {
  return at_rms_norm_width<rotate>(rows.width, [&](auto width) {
    launch_resident<rms_norm_rows<width, rotate, X, To>>(
        "rms_norm", rows.count, block_warps / team_warps<X, width>, shared_bytes(1, width), x,
        rows.count, TokenParameter{weight, weight, 0}, eps, rope, y);
  });
}

void run_rms_norm_e4m3(const Tensor& x, const Tensor& w, float eps, const Rope& rope,
                       const Tensor& y) {
  const Rows rows = rows_of(x, y, "rms_norm");
  const E4m3Tokens to{reinterpret_cast<std::uint8_t*>(y.raw()), token_scale(y)};
  const bool done = aligned(x, pack_size<bf16>) && same_pairs_for_a_lane(rope, pack_size<bf16>) &&
                    run_rms_norm_rows<true>(elements<bf16>(x), rows,
                                            row_parameter(w, rows, "rms_norm"), eps, rope, to);
  WEFT_ASSERT(done, "rms_norm_rope: no kernel for {} in e4m3", x.shape().str());
}

template <bool rotate>
void run_rms_norm(const Tensor& x, const Tensor& w, float eps, const Rope& rope, const Tensor& y) {
  const Rows rows = rows_of(x, y, "rms_norm");
  const float* weight = row_parameter(w, rows, "rms_norm");
  if (rows.count == 0) return;
  by_types(x, y, [&](auto of_x, auto of_y) {
    using X = decltype(of_x);
    using Y = decltype(of_y);
    constexpr int pack = pack_size<X>;
    const X* from = elements<X>(x);
    Y* to = elements<Y>(y);
    if constexpr (sizeof(X) >= sizeof(Y)) {
      if (aligned(x, pack) && aligned(y, pack) && (!rotate || same_pairs_for_a_lane(rope, pack)) &&
          run_rms_norm_rows<rotate>(from, rows, weight, eps, rope, to)) {
        return;
      }
    }
    launch_per_row("rms_norm, plain", rms_norm_plain<X, Y>, rows.count, from, rows, weight, eps,
                   rope, to);
  });
}

/// Launches the kernel whose lanes hold up to 3, 4, 5 or 8 packs; false when a position needs more.
template <class X, class Y>
bool run_channel_groups(const X* x, const Rows& rows, const ChannelNorm& norm, Y* y) {
  const int packs = rows.width / pack_size<X>;
  int lanes = 4;
  while (lanes < warp && packs > 5 * lanes) lanes *= 2;
  const int each = (packs + lanes - 1) / lanes;
  const auto launch = [&]<int count>(std::integral_constant<int, count>) {
    launch_resident<channel_norm_groups<count, X, Y>>(
        "channel_norm", rows.count, block_threads / lanes, 0, x, rows, lanes, norm, y);
    return true;
  };
  if (each <= 3) return launch(std::integral_constant<int, 3>{});
  if (each == 4) return launch(std::integral_constant<int, 4>{});
  if (each == 5) return launch(std::integral_constant<int, 5>{});
  if (each <= 8) return launch(std::integral_constant<int, 8>{});
  return false;
}

}  // namespace

// In e4m3 where the norm has a kernel for it and attention() computes in it.
Tensor CudaOps::attention_input(const Shape& tokens) const {
  const auto width = static_cast<int>(tokens[1] * tokens[2]);
  if (at_model_width(width, [](auto) {}) && attention_->takes_e4m3(tokens)) {
    return e4m3_tokens(tokens);
  }
  return Ops::attention_input(tokens);
}

void CudaOps::rms_norm(const Tensor& x, const Tensor& w, float eps, Tensor y) {
  run_rms_norm<false>(x, w, eps, {}, y);
}

void CudaOps::rms_norm_rope(const Tensor& x, const Tensor& w, float eps, const Tensor& cos,
                            const Tensor& sin, Tensor y) {
  const std::int64_t pairs = cos.dim(1);
  WEFT_ASSERT(cos.shape() == Shape({x.dim(0), pairs}) && sin.shape() == cos.shape() &&
                  x.dim(1) % (2 * pairs) == 0,
              "rms_norm_rope: x {}, cos {}, sin {}", x.shape().str(), cos.shape().str(),
              sin.shape().str());
  const Rope rope{elements<float>(cos), elements<float>(sin), static_cast<int>(pairs)};
  if (y.dtype() == DType::f8e4m3) return run_rms_norm_e4m3(x, w, eps, rope, y);
  run_rms_norm<true>(x, w, eps, rope, y);
}

void CudaOps::channel_norm(const Tensor& x, const Tensor& gamma, Activation act, Tensor y) {
  WEFT_ASSERT(act != Activation::gelu_tanh, "channel_norm: activation none or silu");
  const Rows rows = rows_of(x, y, "channel_norm");
  const ChannelNorm norm{row_parameter(gamma, rows, "channel_norm"),
                         std::sqrt(static_cast<float>(rows.width)), act == Activation::silu};
  if (rows.count == 0) return;
  by_types(x, y, [&](auto of_x, auto of_y) {
    using X = decltype(of_x);
    using Y = decltype(of_y);
    const X* from = elements<X>(x);
    Y* to = elements<Y>(y);
    if constexpr (sizeof(X) >= sizeof(Y)) {
      if (aligned(x, pack_size<X>) && aligned(y, pack_size<X>) &&
          run_channel_groups(from, rows, norm, to)) {
        return;
      }
    }
    launch_per_row("channel_norm, plain", channel_norm_plain<X, Y>, rows.count, from, rows, norm,
                   to);
  });
}

}  // namespace weft::cuda
