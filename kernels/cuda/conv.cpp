// Which way a convolution is computed, and the plain one: a matrix product over gathered patches.
#include "conv.h"

#include <algorithm>

#include "conv_cudnn.h"
#include "conv_epilogue.h"
#include "conv_few_outputs.h"
#include "conv_hopper.h"
#include "conv_weights.h"
#include "cuda_ops.h"
#include "gather_patches.h"

namespace weft::cuda {
namespace {

// Below this the gathered patches are small, and cuDNN's first plan takes longer to make than a
// whole clip of them to multiply.
constexpr std::int64_t few_channels = 64;

enum class Way { few_outputs, hopper, cudnn, product };

bool is_pointwise(const ConvShape& s, const ConvArgs& args) {
  return s.taps() == 1 && s.out_frames == s.frames && s.out_height == s.height &&
         s.out_width == s.width && args.pad_top == 0 && args.pad_left == 0;
}

Way choose(const Tensor& x, const Tensor& w, const Tensor& b, const ConvShape& s,
           const ConvArgs& args, const Tensor& y) {
  if (x.dtype() != DType::bf16 || w.dtype() != DType::bf16) return Way::product;
  if (is_pointwise(s, args)) return Way::product;
  if (conv_few_outputs_fits(x, w, s, args)) return Way::few_outputs;
  if (s.channels < few_channels) return Way::product;
  const bool plain_bias = b.dtype() == DType::bf16 && is_aligned(b, 16);
  if (plain_bias && conv_hopper_fits(x, w.shape(), args, y)) return Way::hopper;
  return Way::cudnn;  // which may refuse
}

Matrix matrix(const Tensor& t) {  // [rows, cols]
  return {t.raw(), t.dtype(), t.dim(0), t.dim(1), t.dim(1), 0};
}

/// Rows of patches gathered at a time: up to 256 MB of them, equal shares rounded up to whole tiles
/// so that there are at most two sizes of product.
std::int64_t rows_at_a_time(const ConvShape& s, DType type) {
  constexpr std::int64_t most_bytes = std::int64_t{256} << 20;
  constexpr std::int64_t tile = 128;
  const std::int64_t row_bytes = s.row_length() * static_cast<std::int64_t>(dtype_size(type));
  const std::int64_t most = std::max(most_bytes / row_bytes / tile, std::int64_t{1}) * tile;
  const std::int64_t shares = (s.positions() + most - 1) / most;
  const std::int64_t share = (s.positions() + shares - 1) / shares;
  return std::min((share + tile - 1) / tile * tile, s.positions());
}

/// Frames [begin, end) of a convolution's output: its inputs, arguments and outputs.
struct Part {
  Tensor x, y;
  ConvArgs args;
};

Part part_of(const Tensor& x, const ConvShape& s, const ConvArgs& args, const Tensor& y,
             std::int64_t begin, std::int64_t end) {
  Part part{x.slice(begin * args.stride_t, (end - 1) * args.stride_t + s.kt), y.slice(begin, end),
            args};
  if (args.residual.defined()) part.args.residual = args.residual.slice(begin, end);
  return part;
}

}  // namespace

struct Conv::Impl {
  Matmul& matmul;
  CudnnConv cudnn;

  /// Frames share out over calls where the tensors have more elements than cuDNN can count.
  void by_cudnn(const Tensor& x, const Tensor& w, const Tensor& b, const ConvShape& s,
                const ConvArgs& args, const Tensor& y) {
    const std::int64_t largest = std::max(x.numel() / s.frames, y.numel() / s.out_frames);
    const std::int64_t frames = std::max(INT32_MAX / largest, s.kt);
    const std::int64_t step =
        std::clamp((frames - s.kt) / args.stride_t + 1, std::int64_t{1}, s.out_frames);
    for (std::int64_t t = 0; t < s.out_frames; t += step) {
      const Part part = part_of(x, s, args, y, t, std::min(t + step, s.out_frames));
      const ConvShape part_shape = conv_shape(part.x.shape(), w.shape(), part.args);
      const Tensor packed = packed_conv_weights(w, part_shape);
      if (!cudnn.run(part.x, packed, b, part_shape, part.args, part.y)) {
        by_product(part.x, w, b, part_shape, part.args, part.y);
      }
    }
  }

  void by_product(const Tensor& x, const Tensor& w, const Tensor& b, const ConvShape& s,
                  const ConvArgs& args, const Tensor& y) {
    WEFT_ASSERT(y.dtype() == w.dtype() || y.dtype() == DType::f32, "conv: {} weights for {} output",
                dtype_name(w.dtype()), dtype_name(y.dtype()));
    const Tensor packed = packed_conv_weights(w, s);  // [O, row_length]
    const Tensor out = y.reshape({s.positions(), s.outputs});
    const bool bias_in_product = b.dtype() == y.dtype() && is_aligned(b, 16);
    const Bias bias = bias_in_product ? Bias{b.raw(), b.dtype(), 0} : Bias{};
    const auto multiply = [&](const Tensor& rows, std::int64_t first) {
      matmul.multiply(matrix(rows), matrix(packed), SecondFactor::transposed,
                      matrix(out.slice(first, first + rows.dim(0))), 1, 1, bias);
    };
    const bool are_rows = is_pointwise(s, args) && x.dtype() == w.dtype() && is_aligned(x, 16) &&
                          s.row_length() == s.channels;
    if (are_rows) {
      multiply(x.reshape({s.positions(), s.channels}), 0);
    } else {
      const std::int64_t step = rows_at_a_time(s, w.dtype());
      const Tensor rows = Tensor::empty({step, s.row_length()}, w.dtype(), DeviceKind::cuda);
      for (std::int64_t first = 0; first < s.positions(); first += step) {
        const Tensor some = rows.slice(0, std::min(step, s.positions() - first));
        gather_patches(x, s, args, first, some);
        multiply(some, first);
      }
    }
    add_bias_and_residual(y, bias_in_product ? Tensor{} : b, args.residual);
  }
};

Conv::Conv(Matmul& matmul) : impl_(std::make_unique<Impl>(matmul)) {}
Conv::~Conv() = default;

void Conv::run(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
               const Tensor& y) {
  const ConvShape s = conv_shape(x.shape(), w.shape(), args);
  switch (choose(x, w, b, s, args, y)) {
    case Way::few_outputs:
      conv_few_outputs(x, packed_conv_weights(w, s), b, s, args, y);
      break;
    case Way::hopper:
      conv_hopper(x, packed_conv_weights(w, s).reshape({s.outputs, s.kt, s.kh, s.kw, s.channels}),
                  b, args, y);
      break;
    case Way::cudnn:
      impl_->by_cudnn(x, w, b, s, args, y);
      break;
    case Way::product:
      impl_->by_product(x, w, b, s, args, y);
      break;
  }
}

void CudaOps::conv(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                   Tensor y) {
  const ConvShape s = conv_shape(x.shape(), w.shape(), args);
  const Tensor& residual = args.residual;
  WEFT_ASSERT(
      x.dim(3) == s.channels && b.numel() == s.outputs && s.frames >= s.kt &&
          y.shape() == s.output() &&
          (!residual.defined() || (residual.shape() == y.shape() && residual.dtype() == y.dtype())),
      "conv: x {}, w {}, b {}, y {}, want y {}", x.shape().str(), w.shape().str(), b.shape().str(),
      y.shape().str(), s.output().str());
  conv_->run(x, w, b, args, std::move(y));
}

}  // namespace weft::cuda
