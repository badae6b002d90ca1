// One thread moves N channels of one tap of one row; neighbours in a row are neighbours in a warp,
// so that both sides are read and written in whole lines.
#include "check.h"
#include "gather_patches.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

struct Geometry {
  int height, width, channels;
  int kt, kh, kw;
  int out_height, out_width;
  int stride_t, stride_h, stride_w;
  int pad_top, pad_left;
  int row_length;
};

template <int N, class From, class To>
__global__ void gather(const From* x, To* rows, Geometry g, unsigned first, unsigned pieces) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= pieces) return;
  const unsigned pieces_per_row = static_cast<unsigned>(g.row_length / N);
  const unsigned row = i / pieces_per_row;
  const int k = static_cast<int>(i % pieces_per_row) * N;  // first column of the piece
  const int tap = k / g.channels;
  const int c = k % g.channels;

  const unsigned position = first + row;
  const int w_out = static_cast<int>(position % static_cast<unsigned>(g.out_width));
  const unsigned row_of_frames = position / static_cast<unsigned>(g.out_width);
  const int h_out = static_cast<int>(row_of_frames % static_cast<unsigned>(g.out_height));
  const int t_out = static_cast<int>(row_of_frames / static_cast<unsigned>(g.out_height));

  const int t = t_out * g.stride_t + tap / (g.kh * g.kw);
  const int h = h_out * g.stride_h + tap / g.kw % g.kh - g.pad_top;
  const int w = w_out * g.stride_w + tap % g.kw - g.pad_left;
  float values[N] = {};
  if (tap < g.kt * g.kh * g.kw && h >= 0 && h < g.height && w >= 0 && w < g.width) {
    const std::int64_t pixel = (static_cast<std::int64_t>(t) * g.height + h) * g.width + w;
    load<N>(x + pixel * g.channels + c, values);
  }
  store<N>(rows + static_cast<std::int64_t>(row) * g.row_length + k, values);
}

}  // namespace

void gather_patches(const Tensor& x, const ConvShape& s, const ConvArgs& args, std::int64_t first,
                    const Tensor& rows) {
  WEFT_ASSERT(rows.dim(1) == s.row_length() && first + rows.dim(0) <= s.positions() &&
                  s.positions() <= INT32_MAX && rows.numel() <= INT32_MAX,
              "patches {} from position {} of {}", rows.shape().str(), first, s.positions());
  const Geometry g{to_int(s.height),      to_int(s.width),       to_int(s.channels),
                   to_int(s.kt),          to_int(s.kh),          to_int(s.kw),
                   to_int(s.out_height),  to_int(s.out_width),   to_int(args.stride_t),
                   to_int(args.stride_h), to_int(args.stride_w), to_int(args.pad_top),
                   to_int(args.pad_left), to_int(s.row_length())};
  // Pieces of 4 must not straddle two taps, nor begin between two accesses.
  const bool in_fours = s.channels % 4 == 0 && is_aligned(x, 4 * dtype_size(x.dtype()));
  const std::int64_t pieces = rows.numel() / (in_fours ? 4 : 1);
  by_type(x.dtype(), [&](auto from) {
    by_type(rows.dtype(), [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const auto kernel = in_fours ? gather<4, From, To> : gather<1, From, To>;
      kernel<<<blocks_for(pieces, 256), 256, 0, cuda_stream()>>>(
          elements<From>(x), elements<To>(rows), g, static_cast<unsigned>(first),
          static_cast<unsigned>(pieces));
    });
  });
  check_launch("gather of patches");
}

}  // namespace weft::cuda
