#include "attention.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "attention_cudnn.h"
#include "attention_fp8.h"
#include "attention_hopper.h"
#include "cuda_ops.h"
#include "merge_key.h"
#include "quantize.h"
#include "softmax.h"

namespace weft::cuda {
namespace {

/// Which of the fused kernels takes bf16 self-attention of many tokens where both can.
enum class Fused : std::uint8_t { cudnn, hopper };
constexpr Fused long_attention = Fused::hopper;

/// Keys of a prompt, or of a small clip: no more than these go to the Hopper kernel first.
constexpr std::int64_t few_keys = 1024;
/// Tokens from which e4m3 pays for its conversions.
constexpr std::int64_t fp8_tokens = 4096;
constexpr std::int64_t fp8_width = 128;

constexpr std::int64_t fused_width = 128;       // the widest head of the fused kernels
constexpr std::int64_t fused_width_step = 8;    // 16 bytes of bf16
constexpr std::uintptr_t fused_alignment = 16;  // of all addresses: vector loads and TMA

/// Scores of one query block, at most (unless one query has more).
constexpr std::int64_t score_bytes = std::int64_t{512} << 20;
constexpr std::int64_t block_step = 64;  // queries: whole tiles of the matrix products

bool aligned(const Tensor& t) {
  return !t.defined() || reinterpret_cast<std::uintptr_t>(t.raw()) % fused_alignment == 0;
}

/// The tensor itself, or a copy at an aligned address.
Tensor align(const Tensor& t) { return aligned(t) ? t : t.clone(); }

Tensor scratch(const Shape& shape, DType type) {
  return Tensor::empty(shape, type, DeviceKind::cuda);
}

/// x [N, H, d] as [N, H d].
Tensor as_rows(const Tensor& x) { return x.reshape({x.dim(0), x.dim(1) * x.dim(2)}); }

/// x [N, H, d] as H matrices [N, d].
Matrix by_heads(const Tensor& x) {
  return {x.raw(), x.dtype(), x.dim(0), x.dim(2), x.dim(1) * x.dim(2), x.dim(2)};
}

/// Queries whose scores [heads, queries, row_stride] fit the limit. It depends on the keys alone,
/// so that queries are cut at the same places however many there are.
std::int64_t queries_per_block(std::int64_t heads, std::int64_t row_stride) {
  const std::int64_t fitting =
      score_bytes / (heads * row_stride * static_cast<std::int64_t>(sizeof(float)));
  return fitting >= block_step ? fitting / block_step * block_step
                               : std::max<std::int64_t>(fitting, 1);
}

/// Blocks in e4m3, by our own kernel.
class E4m3Blocks final : public BlockAttention {
 public:
  E4m3Blocks(const Tensor& q, float scale, const Tensor& out)
      : q_(quantise(align(q))),
        args_{.scale = scale, .lse = scratch({q.dim(1), q.dim(0)}, DType::f32)},
        out_(out) {
    WEFT_ASSERT(aligned(out) && out.dtype() == DType::bf16, "block_attention: out {} {}",
                dtype_name(out.dtype()), out.shape().str());
  }
  [[nodiscard]] Form form(std::int64_t tokens) const override {
    return {1, {e4m3_block_bytes(q_.shape().with(0, tokens))}, DType::f8e4m3};
  }
  [[nodiscard]] std::vector<Tensor> pack(const Tensor& k, const Tensor& v) override {
    return {e4m3_block(align(k), align(v))};
  }
  void add(std::span<const Tensor> block, std::int64_t tokens) override {
    const E4m3Operands operands = e4m3_operands(q_, block[0], q_.shape().with(0, tokens));
    if (std::exchange(first_, false)) {
      attention_of_e4m3(operands, args_, out_);
    } else {
      add_attention_of_e4m3(operands, args_, out_);
    }
  }

 private:
  Tensor q_;
  AttentionArgs args_;
  Tensor out_;
  bool first_ = true;
};

}  // namespace

struct Attention::Impl {
  Matmul& matmul;
  Precision precision;
  CudnnAttention cudnn;

  bool fused(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
             const Tensor& out);
  bool with_cudnn(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                  const Tensor& out);
  bool to_e4m3(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
               const Tensor& out);
  bool has_fp8(const Shape& q, float scale);
  bool fits_fp8(const Tensor& q, const Tensor& k, const AttentionArgs& args);
  void in_fp8(const Tensor& q, const Tensor& k, const Tensor& v, float scale, const Tensor& out);
  void with_matmuls(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                    const Tensor& out);
};

/// False: no fused kernel takes this call, and nothing was done.
bool Attention::Impl::fused(const Tensor& q, const Tensor& k, const Tensor& v,
                            const AttentionArgs& args, const Tensor& out) {
  if (q.dtype() != DType::bf16 || args.bias.defined() || q.dim(2) > fused_width ||
      q.dim(2) % fused_width_step != 0) {
    return false;
  }
  if (k.dim(0) == 1) {
    only_key(q, k, v, args.scale, args.last_key_logit, args.lse, out);
    return true;
  }
  const bool hopper = attention_hopper_fits(q, k, args);
  const bool hopper_first =
      args.last_key_logit != 0 || k.dim(0) <= few_keys || long_attention == Fused::hopper;
  if (!(hopper && hopper_first) && with_cudnn(q, k, v, args, out)) return true;
  if (hopper) attention_hopper(q, k, v, args, out);
  return hopper;
}

bool Attention::Impl::with_cudnn(const Tensor& q, const Tensor& k, const Tensor& v,
                                 const AttentionArgs& args, const Tensor& out) {
  if (args.last_key_logit == 0) return cudnn.run(q, k, v, args.scale, args.lse, out);
  const std::int64_t last = k.dim(0) - 1;
  const Tensor lse = args.lse.defined() ? args.lse : scratch({q.dim(1), q.dim(0)}, DType::f32);
  if (!cudnn.run(q, k.slice(0, last), v.slice(0, last), args.scale, lse, out)) return false;
  merge_key(q, k.slice(last, last + 1), v.slice(last, last + 1), args.scale, args.last_key_logit,
            lse, out);
  return true;
}

/// Attention in bf16 whose results are rounded to the rows of a linear_input(), all with the scale
/// of the largest value. False: no kernel does that, and nothing was done.
bool Attention::Impl::to_e4m3(const Tensor& q, const Tensor& k, const Tensor& v,
                              const AttentionArgs& args, const Tensor& out) {
  if (out.dtype() != DType::f8e4m3 || k.dim(0) == 1 || !attention_hopper_fits(q, k, args)) {
    return false;
  }
  const Tensor largest = largest_magnitude(v);
  attention_hopper_e4m3(q, k, v, args, largest.data<float>(), out);
  fill_scales_of(largest.data<float>(), quantized_view(as_rows(out)).scale);
  return true;
}

/// Whether there is a kernel of e4m3 for self-attention of q.
bool Attention::Impl::has_fp8(const Shape& q, float scale) {
  return attention_of_e4m3_fits(q) || cudnn.has_fp8(q, scale);
}

/// Whether self-attention of these is computed in e4m3.
bool Attention::Impl::fits_fp8(const Tensor& q, const Tensor& k, const AttentionArgs& args) {
  return precision == Precision::fp8 && q.dtype() != DType::f32 && q.dim(0) == k.dim(0) &&
         q.dim(0) >= fp8_tokens && q.dim(2) == fp8_width && args.last_key_logit == 0 &&
         !args.bias.defined() && !args.lse.defined() && has_fp8(q.shape(), args.scale);
}

/// out bf16, or the whole of a linear_input(). cuDNN rounds the result to e4m3 in either case.
void Attention::Impl::in_fp8(const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                             const Tensor& out) {
  if (attention_of_e4m3_fits(q.shape())) {
    const E4m3Operands operands = e4m3_operands(q, k, v);
    attention_of_e4m3(operands, {.scale = scale}, out);
    if (out.dtype() == DType::f8e4m3) {
      fill_scales_of(&operands.v_scale->most, quantized_view(as_rows(out)).scale);
    }
    return;
  }
  const Fp8Operands operands = fp8_operands(q, k, v);
  if (out.dtype() == DType::f8e4m3) {
    const Quantized rows = quantized_view(as_rows(out));
    cudnn.run(operands, scale, out);
    fill_scales(operands, rows.scale);
    return;
  }
  const Tensor stored = scratch(q.shape().with(0, whole_tiles(q.dim(0))), DType::u8);
  cudnn.run(operands, scale, stored);
  dequantise(stored, operands, out);
}

void Attention::Impl::with_matmuls(const Tensor& q, const Tensor& k, const Tensor& v,
                                   const AttentionArgs& args, const Tensor& out) {
  const std::int64_t queries = q.dim(0), heads = q.dim(1), keys = k.dim(0);
  // Rows start at multiples of 16 bytes, as scores and as probabilities.
  const std::int64_t row_stride = (keys + 7) / 8 * 8;
  const std::int64_t rows = std::min(queries, queries_per_block(heads, row_stride));
  const Shape block{heads, rows, row_stride};
  const Tensor scores = scratch(block, DType::f32);
  const Tensor weights = q.dtype() == DType::f32 ? scores : scratch(block, q.dtype());
  float* lse = args.lse.defined() ? args.lse.data<float>() : nullptr;
  for (std::int64_t first = 0; first < queries; first += rows) {
    const std::int64_t last = std::min(queries, first + rows);
    const auto matrix = [&](const Tensor& t) {
      return Matrix{t.raw(), t.dtype(), last - first, keys, row_stride, rows * row_stride};
    };
    matmul.multiply(by_heads(q.slice(first, last)), by_heads(k), SecondFactor::transposed,
                    matrix(scores), heads);
    softmax({scores.data<float>(), heads, last - first, keys, row_stride, rows * row_stride},
            {args.scale, args.last_key_logit,
             args.bias.defined() ? args.bias.data<float>() : nullptr, queries, first},
            weights, lse);
    matmul.multiply(matrix(weights), by_heads(v), SecondFactor::as_is,
                    by_heads(out.slice(first, last)), heads);
  }
}

Attention::Attention(Matmul& matmul, Precision precision)
    : impl_(new Impl{matmul, precision, {}}) {}
Attention::~Attention() = default;

void Attention::run(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                    const Tensor& out) {
  if (q.dim(0) == 0) return;
  const bool fp8 = impl_->fits_fp8(q, k, args);
  WEFT_ASSERT(fp8 || q.dtype() != DType::f8e4m3, "attention: no kernel for {} in e4m3",
              q.shape().str());
  if (!fp8 && aligned(q) && aligned(k) && aligned(v) && aligned(args.lse) &&
      impl_->to_e4m3(q, k, v, args, out)) {
    return;
  }
  const bool direct = aligned(out) && (fp8 || out.dtype() == v.dtype());
  const Tensor result = direct ? out : scratch(out.shape(), v.dtype());
  AttentionArgs with = args;
  if (!aligned(args.lse)) with.lse = scratch(args.lse.shape(), DType::f32);
  const Tensor queries = align(q), keys = align(k), values = align(v);
  if (fp8) {
    impl_->in_fp8(queries, keys, values, args.scale, result);
  } else if (!impl_->fused(queries, keys, values, with, result)) {
    impl_->with_matmuls(queries, keys, values, with, result);
  }
  if (!direct && out.dtype() == DType::f8e4m3) {
    quantize_rows(as_rows(result), quantized_view(as_rows(out)));
  } else if (!direct) {
    copy(result, out);
  }
  if (!aligned(args.lse)) copy(with.lse, args.lse);
}

bool Attention::takes_e4m3(const Shape& q) {
  const float usual_scale = 1 / std::sqrt(static_cast<float>(q[2]));  // it decides nothing
  return impl_->precision == Precision::fp8 && q[0] >= fp8_tokens && q[2] == fp8_width &&
         impl_->has_fp8(q, usual_scale);
}

std::unique_ptr<BlockAttention> Attention::in_e4m3_blocks(const Tensor& q, float scale,
                                                          std::int64_t fewest, const Tensor& out) {
  if (impl_->precision != Precision::fp8 || q.dtype() != DType::bf16 || fewest < fp8_tokens ||
      scale <= 0 || !attention_of_e4m3_fits(q.shape())) {
    return nullptr;
  }
  return std::make_unique<E4m3Blocks>(q, scale, out);
}

void CudaOps::attention(const Tensor& q, const Tensor& k, const Tensor& v,
                        const AttentionArgs& args, Tensor out) {
  const std::int64_t queries = q.dim(0), keys = k.dim(0), heads = q.dim(1);
  WEFT_ASSERT(k.shape() == Shape({keys, heads, q.dim(2)}) && v.shape() == k.shape() &&
                  out.shape() == q.shape() && keys > 0,
              "attention: q {}, k {}, v {}, out {}", q.shape().str(), k.shape().str(),
              v.shape().str(), out.shape().str());
  const bool reduced = q.dtype() == DType::f8e4m3;  // an attention_input()
  const bool fits = !reduced || (v.dtype() == DType::bf16 && queries == keys &&
                                 !args.lse.defined() && args.last_key_logit == 0);
  const bool known_out =
      out.dtype() == v.dtype() || (out.dtype() == DType::f8e4m3 && v.dtype() == DType::bf16);
  WEFT_ASSERT(k.dtype() == q.dtype() && (reduced || v.dtype() == q.dtype()) && fits && known_out,
              "attention: q {}, k {}, v {}, out {}", dtype_name(q.dtype()), dtype_name(k.dtype()),
              dtype_name(v.dtype()), dtype_name(out.dtype()));
  WEFT_ASSERT(!args.bias.defined() || args.bias.shape() == Shape({heads, queries + keys - 1}),
              "attention: bias {}", args.bias.shape().str());
  WEFT_ASSERT(!args.lse.defined() || args.lse.shape() == Shape({heads, queries}),
              "attention: lse {}", args.lse.shape().str());
  attention_->run(q, k, v, args, out);
}

void CudaOps::add_attention(const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                            Tensor out, Tensor lse) {
  WEFT_ASSERT(k.shape() == q.shape().with(0, k.dim(0)) && v.shape() == k.shape() &&
                  out.shape() == q.shape() && lse.shape() == Shape({q.dim(1), q.dim(0)}),
              "add_attention: q {}, k {}, v {}, out {}, lse {}", q.shape().str(), k.shape().str(),
              v.shape().str(), out.shape().str(), lse.shape().str());
  const AttentionArgs args{.scale = scale, .lse = lse};
  if (aligned(q) && aligned(k) && aligned(v) && aligned(out) && out.dtype() == DType::bf16 &&
      attention_hopper_fits(q, k, args)) {
    add_attention_hopper(q, k, v, args, out);
  } else {
    Ops::add_attention(q, k, v, scale, std::move(out), std::move(lse));
  }
}

std::unique_ptr<BlockAttention> CudaOps::block_attention(const Tensor& q, float scale,
                                                         std::int64_t fewest, Tensor out) {
  auto blocks = attention_->in_e4m3_blocks(q, scale, fewest, out);
  return blocks != nullptr ? std::move(blocks)
                           : Ops::block_attention(q, scale, fewest, std::move(out));
}

}  // namespace weft::cuda
