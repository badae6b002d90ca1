// A block computes 16 x 32 pixels of one frame. Input is staged in shared memory 32 channels of one
// frame at a time, with a border of one pixel, while the stage before is multiplied: each staged
// pixel serves 9 taps and all outputs, so that memory is read about once (neighbouring frames'
// blocks follow each other, and find the frames they share in the L2 cache). The products are
// tensor-core ones of 16 pixels by 16 channels by 8 outputs, outputs filled up with zeros.
#include "check.h"
#include "conv_few_outputs.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

constexpr int tile_rows = 16, tile_cols = 32;
constexpr int staged_rows = tile_rows + 2, staged_cols = tile_cols + 2;
constexpr int staged_pixels = staged_rows * staged_cols;
constexpr int stage_channels = 32;
constexpr int row_bytes = stage_channels * 2;   // of a staged pixel, or of one output's weights
constexpr int pieces_per_row = row_bytes / 16;  // of 16 bytes, 8 channels
constexpr int threads = 256;
constexpr int tiles_per_warp = 4;  // of 16 pixels in a row: two rows of the block's 32 columns
static_assert(threads / 32 * tiles_per_warp * 16 == tile_rows * tile_cols);

template <int N>  // outputs, filled up
constexpr int stage_bytes = (staged_pixels + 9 * N) * row_bytes;

struct Problem {
  const bf16* x;  // [frames, height, width, channels]
  const bf16* w;  // [outputs, kt, 3, 3, channels]
  int height, width, channels;
  int outputs, kt;
  int out_frames, out_height, out_width;
  int pad_top, pad_left;
  int tiles_across;
};

// Where piece `piece` of staged row `row` lies. Eight consecutive rows' pieces of one number fall
// into different banks.
__device__ unsigned place(int row, int piece) {
  return static_cast<unsigned>(row * row_bytes + ((piece ^ ((row >> 1) & 3)) << 4));
}

// 16 bytes to shared memory in the background; zeros when there is nothing to read.
__device__ void stage_piece(unsigned to, const bf16* from, bool there) {
  const int bytes = there ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from), "r"(bytes));
}

// Four 8 x 8 matrices of bf16; lanes 8 i ... 8 i + 7 give the rows of matrix i.
__device__ void load_matrices(unsigned from, unsigned (&to)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

// sum [16 pixels, 8 outputs] += a [16 pixels, 16 channels] b [16 channels, 8 outputs].
__device__ void multiply_add(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Begins to bring the channels from `channel` of input frame `frame`, tap `dt` in time, to `at`:
// pixels of the block's tile with its border, then weights [9 taps, N outputs].
template <int N>
__device__ void begin_stage(const Problem& p, unsigned at, int frame, int dt, int channel, int top,
                            int left) {
  const std::int64_t frame_start = static_cast<std::int64_t>(frame) * p.height;
  for (int i = static_cast<int>(threadIdx.x); i < staged_pixels * pieces_per_row; i += threads) {
    const int piece = i % pieces_per_row;
    const int pixel = i / pieces_per_row;
    const int h = top + pixel / staged_cols;
    const int w = left + pixel % staged_cols;
    const int c = channel + piece * 8;
    const bool there = h >= 0 && h < p.height && w >= 0 && w < p.width && c < p.channels;
    const bf16* from = there ? p.x + ((frame_start + h) * p.width + w) * p.channels + c : p.x;
    stage_piece(at + place(pixel, piece), from, there);
  }
  at += staged_pixels * row_bytes;
  for (int i = static_cast<int>(threadIdx.x); i < 9 * N * pieces_per_row; i += threads) {
    const int piece = i % pieces_per_row;
    const int row = i / pieces_per_row;  // (tap, output)
    const int o = row % N;
    const int tap = row / N;
    const int c = channel + piece * 8;
    const bool there = o < p.outputs && c < p.channels;
    const bf16* from = there ? p.w + ((o * p.kt + dt) * 9 + tap) * p.channels + c : p.w;
    stage_piece(at + place(row, piece), from, there);
  }
}

// Adds one stage's products to the sums of the warp's pixels.
template <int N>
__device__ void multiply_stage(unsigned at, int warp, int lane,
                               float (&sum)[tiles_per_warp][N / 8][4]) {
  const unsigned weights = at + staged_pixels * row_bytes;
#pragma unroll
  for (int tap = 0; tap < 9; ++tap) {
    unsigned b[N / 8][4];  // channels 0-7, 8-15, 16-23, 24-31 of 8 outputs
#pragma unroll
    for (int n = 0; n < N / 8; ++n) {
      load_matrices(weights + place(tap * N + n * 8 + lane % 8, lane / 8), b[n]);
    }
#pragma unroll
    for (int m = 0; m < tiles_per_warp; ++m) {
      const int row = warp * 2 + m / 2 + tap / 3;
      const int col = m % 2 * 16 + tap % 3;
      const int pixel = row * staged_cols + col + lane % 16;
#pragma unroll
      for (int half = 0; half < 2; ++half) {  // 16 channels each
        unsigned a[4];
        load_matrices(at + place(pixel, half * 2 + lane / 16), a);
#pragma unroll
        for (int n = 0; n < N / 8; ++n) {
          multiply_add(sum[m][n], a, b[n][half * 2], b[n][half * 2 + 1]);
        }
      }
    }
  }
}

template <int N, class Y, class B>
__global__ void __launch_bounds__(threads) few_outputs(Problem p, const B* bias, Y* y) {
  extern __shared__ __align__(128) unsigned char stages[];  // two
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(stages));
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int frame = static_cast<int>(blockIdx.x % static_cast<unsigned>(p.out_frames));
  const int tile = static_cast<int>(blockIdx.x / static_cast<unsigned>(p.out_frames));
  const int first_row = tile / p.tiles_across * tile_rows;
  const int first_col = tile % p.tiles_across * tile_cols;

  const int parts = (p.channels + stage_channels - 1) / stage_channels;  // stages per frame
  const int count = p.kt * parts;
  const auto begin = [&](int i) {
    begin_stage<N>(p, shared + static_cast<unsigned>(i % 2 * stage_bytes<N>), frame + i / parts,
                   i / parts, i % parts * stage_channels, first_row - p.pad_top,
                   first_col - p.pad_left);
  };
  float sum[tiles_per_warp][N / 8][4] = {};
  begin(0);
  asm volatile("cp.async.commit_group;\n" ::: "memory");
  for (int i = 0; i < count; ++i) {
    if (i + 1 < count) begin(i + 1);
    asm volatile("cp.async.commit_group;\n" ::: "memory");
    asm volatile("cp.async.wait_group 1;\n" ::: "memory");  // all but the newest: stage i is here
    __syncthreads();
    multiply_stage<N>(shared + static_cast<unsigned>(i % 2 * stage_bytes<N>), warp, lane, sum);
    __syncthreads();  // before this half is filled again
  }

  // A lane holds outputs 2 (lane % 4) and the next, of pixels lane / 4 and that + 8.
#pragma unroll
  for (int m = 0; m < tiles_per_warp; ++m) {
    const int row = first_row + warp * 2 + m / 2;
#pragma unroll
    for (int n = 0; n < N / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int col = first_col + m % 2 * 16 + lane / 4 + e / 2 * 8;
        const int o = n * 8 + lane % 4 * 2 + e % 2;
        if (row >= p.out_height || col >= p.out_width || o >= p.outputs) continue;
        const std::int64_t pixel =
            (static_cast<std::int64_t>(frame) * p.out_height + row) * p.out_width + col;
        y[pixel * p.outputs + o] = from_float<Y>(sum[m][n][e] + to_float(bias[o]));
      }
    }
  }
}

template <int N, class Y, class B>
void launch(const Problem& p, const Tensor& b, const Tensor& y) {
  constexpr int bytes = 2 * stage_bytes<N>;
  const auto kernel = few_outputs<N, Y, B>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
        "cudaFuncSetAttribute, shared memory");
  const std::int64_t tiles =
      static_cast<std::int64_t>(p.tiles_across) * ((p.out_height + tile_rows - 1) / tile_rows);
  kernel<<<blocks_for(tiles * p.out_frames, 1), threads, bytes, cuda_stream()>>>(p, elements<B>(b),
                                                                                 elements<Y>(y));
  check_launch("convolution to few outputs");
}

}  // namespace

bool conv_few_outputs_fits(const Tensor& x, const Tensor& w, const ConvShape& s,
                           const ConvArgs& args) {
  return x.dtype() == DType::bf16 && w.dtype() == DType::bf16 && s.outputs <= 16 &&
         s.channels % 8 == 0 && s.kh == 3 && s.kw == 3 && args.stride_t == 1 &&
         args.stride_h == 1 && args.stride_w == 1 && !args.residual.defined() && is_aligned(x, 16);
}

void conv_few_outputs(const Tensor& x, const Tensor& packed, const Tensor& b, const ConvShape& s,
                      const ConvArgs& args, const Tensor& y) {
  const Problem p{elements<bf16>(x),
                  elements<bf16>(packed),
                  to_int(s.height),
                  to_int(s.width),
                  to_int(s.channels),
                  to_int(s.outputs),
                  to_int(s.kt),
                  to_int(s.out_frames),
                  to_int(s.out_height),
                  to_int(s.out_width),
                  to_int(args.pad_top),
                  to_int(args.pad_left),
                  to_int((s.out_width + tile_cols - 1) / tile_cols)};
  by_type(y.dtype(), [&](auto y_type) {
    by_type(b.dtype(), [&](auto b_type) {
      using Y = decltype(y_type);
      using B = decltype(b_type);
      if (s.outputs <= 8) {
        launch<8, Y, B>(p, b, y);
      } else {
        launch<16, Y, B>(p, b, y);
      }
    });
  });
}

}  // namespace weft::cuda
