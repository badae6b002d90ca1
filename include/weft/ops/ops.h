#pragma once
// Every numeric operation of the models, declared once. CpuOps (kernels/cpu) and CudaOps
// (kernels/cuda) implement it; tests/reference holds a plain double-precision loop for each.
//
// All tensors are contiguous; outputs are allocated by the caller and fully overwritten. N tokens,
// D inner width, H heads, d head width; video tensors are channels-last [frames, rows, cols, C].
//
// Element types. The CPU computes in float32 throughout. On CUDA "act" below is Ops::activation():
// float32 or bfloat16; sums, norms, softmax and everything said to be float32 stay float32 (the
// islands of spec 4.2, 4.3). A tensor said to be "act" may always be float32 as well.
//
// On the CPU every operation's result is a function of its inputs alone: it does not depend on the
// number of threads, nor a row, query, frame or pixel on how many others are in the same call, so
// that any split of the work over ranks gives the same bytes.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "weft/device/tensor.h"
#include "weft/ops/block_attention.h"

namespace weft {

/// What the heavy arithmetic is done in. fp8: as bf16, and the large matmuls of the transformer's
/// blocks in e4m3 (weights that WeightSource marks as reducible) and its self-attention likewise.
enum class Precision : std::uint8_t { f32, bf16, fp8 };

enum class Activation : std::uint8_t { none, gelu_tanh, silu };

/// Rows of modulation values chosen by token: tokens [0, split) use row 0, the others the last row.
/// One row (and split 0) is the usual case; two rows serve per-token timesteps, where the first
/// latent frame has a timestep of its own (spec 4.5).
struct TokenRows {
  Tensor rows;             // [1 or 2, D] float32; undefined: absent
  std::int64_t split = 0;  // first token that uses the last row
};

struct AttentionArgs {
  float scale = 1;           // multiplies q.k
  float last_key_logit = 0;  // added to the logits of the last key: ln(count) of merged pad keys
  // Optional [H, Nq + Nk - 1] float32, added to the scaled logits: the logit of query i and key j
  // gets bias[h, j - i + Nq - 1] (UMT5's relative positions).
  Tensor bias{};
  Tensor lse{};  // optional output [H, Nq] float32: log-sum-exp of the logits (ring merge)
};

struct ConvArgs {
  std::int64_t stride_t = 1, stride_h = 1, stride_w = 1;
  // Zeros around each frame; time is never padded here: callers prepend history frames (spec 6.3).
  std::int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
  Tensor residual{};  // optional, of y's shape and type: y = conv(x) + b + residual
};

/// One term of a linear combination.
struct Term {
  float factor;
  Tensor x;
};

class Ops {
 public:
  virtual ~Ops() = default;
  [[nodiscard]] virtual DeviceKind device() const = 0;
  /// Element type of activations and matmul weights: f32 or bf16.
  [[nodiscard]] virtual DType activation() const = 0;
  [[nodiscard]] virtual std::string describe() const = 0;  // "cpu, 2 threads, avx512"
  /// Waits until everything asked for so far is done (a no-op on the CPU).
  virtual void synchronize() = 0;

  /// Space [rows, cols] for rows that nothing but linear() and linear_group() read, with reducible
  /// weights (Storage::reducible), and that layer_norm(), residual_layer_norm() or attention()
  /// write from activations: of type activation(), or in fp8 precision e4m3 with one float32 scale
  /// per row behind the elements.
  [[nodiscard]] virtual Tensor linear_input(std::int64_t rows, std::int64_t cols) const {
    return Tensor::empty({rows, cols}, activation(), device());
  }
  /// Space [N, H, d] for the queries or the keys of self-attention over N tokens, that
  /// rms_norm_rope() writes from activations and nothing but attention() reads, without bias, lse
  /// and last_key_logit: of type activation(), or in fp8 precision e4m3 with one float32 scale
  /// behind the elements.
  [[nodiscard]] virtual Tensor attention_input(const Shape& tokens) const {
    return Tensor::empty(tokens, activation(), device());
  }

  // ---- dense -------------------------------------------------------------------------------
  /// y = act(x W^T + b).  x [M, K], w [N, K], b [N] or undefined, y [M, N]. The values of w must
  /// not change after its first use: a reordered copy is kept with its storage (so for conv).
  /// CUDA: w and b act; x and y act, or all float32 (time embedding); up to 8 rows any mixture; x
  /// may be a linear_input().
  virtual void linear(const Tensor& x, const Tensor& w, const Tensor& b, Tensor y,
                      Activation act = Activation::none) = 0;
  /// y_i = x W_i^T + b_i for weights of one shape (q, k, v of a layer). Weights from one
  /// WeightSource::take_group and outputs sliced from one tensor run as one batched matmul on CUDA.
  virtual void linear_group(const Tensor& x, std::span<const Tensor> w, std::span<const Tensor> b,
                            std::span<const Tensor> y) {
    for (std::size_t i = 0; i < w.size(); ++i) {
      linear(x, w[i], b.empty() ? Tensor{} : b[i], y[i]);
    }
  }

  // ---- transformer -------------------------------------------------------------------------
  /// y = LN(x) weight + bias; LN has biased variance.  x [N, D] act; y [N, D] act or a
  /// linear_input().
  virtual void layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias,
                          float eps, Tensor y) = 0;
  /// x += y gate (an absent gate is 1), then h = LN(x) weight + bias, x as it was rounded.
  /// x, y, h [N, D] act; h may be a linear_input(). One pass over x on CUDA.
  virtual void residual_layer_norm(Tensor x, const Tensor& y, const TokenRows& gate,
                                   const TokenRows& weight, const TokenRows& bias, float eps,
                                   Tensor h) {
    if (gate.rows.defined()) {
      gated_residual(x, y, gate);
    } else {
      add(x, y);
    }
    layer_norm(x, weight, bias, eps, std::move(h));
  }
  /// y = x / sqrt(mean(x^2) + eps) w.  x, y [N, D] act (may be the same tensor); w [D] float32.
  virtual void rms_norm(const Tensor& x, const Tensor& w, float eps, Tensor y) = 0;
  /// rms_norm over all of D, then rotary embedding of adjacent pairs within each head.
  /// x, y [N, D] act (may be the same); w [D] float32; cos, sin [N, d/2] float32 of angles;
  /// D = H d. y may be an attention_input().
  virtual void rms_norm_rope(const Tensor& x, const Tensor& w, float eps, const Tensor& cos,
                             const Tensor& sin, Tensor y) = 0;
  /// x += y gate.  x, y [N, D] act; product and sum in float32.
  virtual void gated_residual(Tensor x, const Tensor& y, const TokenRows& gate) = 0;
  /// x += y, any equal shapes, act.
  virtual void add(Tensor x, const Tensor& y) = 0;
  /// y = silu(x), any equal shapes, act.
  virtual void silu(const Tensor& x, Tensor y) = 0;
  /// y = gelu_tanh(a) b, any equal shapes, act (UMT5's gated feed-forward).
  virtual void gated_gelu(const Tensor& a, const Tensor& b, Tensor y) = 0;
  /// out = softmax(scale q k^T + ...) v per head, blocked: never holds all Nq x Nk logits. A query
  /// whose logits are all -inf gives zeros and an lse of -inf.
  /// q, out [Nq, H, d]; k, v [Nk, H, d]; all of one type, act. q and k may be attention_input()s of
  /// one shape, out the whole of a linear_input().
  virtual void attention(const Tensor& q, const Tensor& k, const Tensor& v,
                         const AttentionArgs& args, Tensor out) = 0;
  /// Merges two partial attentions over disjoint keys: with m = log(e^lse + e^part_lse),
  /// out = out e^(lse - m) + part e^(part_lse - m), lse = m. An lse of -inf: no keys. out, part
  /// [N, H, d] act; lse, part_lse [H, N] float32.
  virtual void merge_attention(Tensor out, Tensor lse, const Tensor& part,
                               const Tensor& part_lse) = 0;
  /// out [Nq, H, d] and lse [H, Nq] hold the attention over other keys; now that over k and v
  /// [Nk, H, d] as well. All but lse of one type, act; no attention_input()s.
  virtual void add_attention(const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                             Tensor out, Tensor lse) {
    const Tensor part = Tensor::empty(out.shape(), out.dtype(), out.device());
    const Tensor part_lse = Tensor::empty(lse.shape(), lse.dtype(), lse.device());
    attention(q, k, v, {.scale = scale, .lse = part_lse}, part);
    merge_attention(std::move(out), std::move(lse), part, part_lse);
  }
  /// For the attention of q over keys and values that add() gets block by block, of `fewest` or
  /// more tokens each. q, out [Nq, H, d] act, at multiples of 16 bytes on CUDA. In fp8 precision
  /// blocks of many tokens are handed on in e4m3, half as many bytes.
  [[nodiscard]] virtual std::unique_ptr<BlockAttention> block_attention(const Tensor& q,
                                                                        float scale,
                                                                        std::int64_t fewest,
                                                                        Tensor out);
  /// Latents to the rows of the patch embedding: y[(t,h,w), (c,i,j)] = z[c, t, 2h+i, 2w+j].
  /// z [C, T, 2h', 2w'] float32, y [T h' w', 4 C] act  (spec 4.2).
  virtual void patchify(const Tensor& z, Tensor y) = 0;
  /// The head's features back to latents: z[c, t, 2h+i, 2w+j] = y[(t,h,w), (2i+j) C + c]
  /// (spec 4.4). y act, z float32.
  virtual void unpatchify(const Tensor& y, Tensor z) = 0;

  // ---- latents, float32 ----------------------------------------------------------------------
  /// out = sum of factor_i x_i in the order given (at most 6 terms); out may be one of the x.
  virtual void combine(std::span<const Term> terms, Tensor out) = 0;
  /// False when an element is infinite or not a number. Waits for the result. x float32.
  [[nodiscard]] virtual bool all_finite(const Tensor& x) = 0;
  /// sum[box] += (wt[t] wh[h] ww[w]) v.  sum [C, T, H, W]; v [C, t, h, w] lies in sum at `origin`
  /// (t, h, w); wt [t], wh [h], ww [w]. Window blending: callers fix the order of the windows.
  virtual void add_weighted(Tensor sum, const Tensor& v, std::span<const std::int64_t, 3> origin,
                            std::span<const float> wt, std::span<const float> wh,
                            std::span<const float> ww) = 0;

  // ---- video autoencoder, channels-last, act unless said otherwise ---------------------------
  /// Convolution without time padding.  x [T, H, W, C], w [O, C, kt, kh, kw] or [O, C, kh, kw],
  /// b [O], y [(T-kt)/st+1, (H+pads-kh)/sh+1, (W+pads-kw)/sw+1, O]. x, b and y may be float32 while
  /// w is bfloat16.
  virtual void conv(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                    Tensor y) = 0;
  /// y = act(x / max(|x|_2 over C, 1e-12) sqrt(C) gamma); act is none or silu.  x, y [..., C];
  /// gamma [C] float32.
  virtual void channel_norm(const Tensor& x, const Tensor& gamma, Activation act, Tensor y) = 0;
  /// Nearest x2 in rows and columns.  x [T, H, W, C], y [T, 2H, 2W, C].
  virtual void upsample2x(const Tensor& x, Tensor y) = 0;
  /// Splits channels into two frames: y[2t+a, h, w, c] = x[t, h, w, a C + c].
  /// x [T, H, W, 2C], y [2T, H, W, C].
  virtual void channels_to_frames(const Tensor& x, Tensor y) = 0;
  /// The residual decoder's parameter-free skip, added: y += Dup(x) (spec 6.2). Frames grow by `ft`
  /// 1 or 2, rows and columns by 2: y[t ft + a - drop_first, 2h + b, 2w + e, o] += x[t, h, w, c]
  /// with c = (((o ft + a) 2 + b) 2 + e) / repeats, repeats = O ft 4 / C. `drop_first` is 1 for the
  /// first chunk of a clip with ft = 2 (its first frame is not doubled), else 0. x [T, H, W, C], y
  /// [T ft - drop_first, 2H, 2W, O].
  virtual void add_dup_up(const Tensor& x, std::int64_t ft, std::int64_t drop_first, Tensor y) = 0;
  /// The residual encoder's parameter-free skip, added: y += Avg(x) (spec 6.2): channels and the
  /// (ft, 2, 2) sub-positions flattened as (c, a, b, e), then means of equal groups. ft = 2 with
  /// odd T: one zero frame is prepended (the first chunk). x [T, H, W, C], y [ceil(T/ft), H/2, W/2,
  /// O].
  virtual void add_avg_down(const Tensor& x, std::int64_t ft, Tensor y) = 0;
  /// y[t, h, w, (c p + e) p + b] = x[t, h p + b, w p + e, c]: w-major (spec 6.2).
  /// x, y act or float32.
  virtual void pixel_patchify(const Tensor& x, std::int64_t p, Tensor y) = 0;
  virtual void pixel_unpatchify(const Tensor& x, std::int64_t p, Tensor y) = 0;
  /// y[t, h, w, c] = z[c, t, h, w] scale[c] + shift[c]: latents to channels-last. z float32.
  virtual void latents_to_video(const Tensor& z, std::span<const float> scale,
                                std::span<const float> shift, Tensor y) = 0;
  /// z[c, t, h, w] = (y[t, h, w, c] - shift[c]) scale[c] for the first z.dim(0) channels of y. z
  /// float32.
  virtual void video_to_latents(const Tensor& y, std::span<const float> scale,
                                std::span<const float> shift, Tensor z) = 0;
  /// Clamp to [-1, 1], then y = round_half_even(255 (x/2 + 1/2)); NaN becomes 0, so callers that
  /// must know look before.  x float, y u8, equal shapes.
  virtual void to_u8(const Tensor& x, Tensor y) = 0;
};

/// `threads` > 0.
std::unique_ptr<Ops> make_cpu_ops(int threads);
/// nullptr exactly when cuda_absent_reason() is not "". One per process: tensors on CUDA live on
/// this device, and all work is done in order on one stream.
std::unique_ptr<Ops> make_cuda_ops(int device_index, Precision precision);

}  // namespace weft
