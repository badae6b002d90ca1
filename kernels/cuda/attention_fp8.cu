#include <algorithm>
#include <cstring>

#include <cuda_fp8.h>

#include "attention_fp8.h"
#include "check.h"
#include "quantize.cuh"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

constexpr int vec = 16;  // e4m3 bytes of one 16-byte access; two accesses of bf16
constexpr int threads = 256;
// A few blocks for each multiprocessor; each warp ends with one atomic.
constexpr unsigned most_blocks = 1056;
constexpr int line = 64;  // floats

// Weights are at most 1; a power of two scales them exactly and leaves room below 448.
constexpr float weights_scale = 256;

/// The larger of two pairs of absolute bf16 values as bits, which order like the values; NaN is
/// above all.
__device__ unsigned larger(unsigned top, unsigned pair) {
  return __vmaxu2(top, pair & 0x7FFF7FFFU);
}
__device__ unsigned larger(unsigned top, const Pack<bf16, 8>& x) {
  uint4 pairs;
  static_assert(sizeof pairs == sizeof x);
  memcpy(&pairs, &x, sizeof x);
  return larger(larger(larger(larger(top, pairs.x), pairs.y), pairs.z), pairs.w);
}
/// Over the warp, as bits of a float32, which order alike.
__device__ unsigned warp_largest(unsigned top) {
  top = max(top >> 16, top & 0xFFFFU);
  return __reduce_max_sync(0xFFFFFFFFU, top) << 16;
}

// ---- tokens with the scale of their largest value ----------------------------------------------
// The largest value is known when all have been read; to read them once, they are written with a
// scale that a sample of the tokens suggests, with much room above it. e4m3 keeps 4 bits of a value
// wherever it lies between 2^-6 and 448, so nothing is lost by that: the sample's largest value
// comes to 28, and what is smaller by up to a factor of 1792 is as exact as ever. Should a value
// not fit, everything is written again with the scale of the largest.

constexpr int sampled_tokens = 16;
constexpr int sample_threads = 1024;
constexpr float room = 16;
// Values below this are zeros to any product; dividing by them would overflow.
constexpr float smallest = 1e-30F;

__device__ Pack<bf16, 8> read_pack(const bf16* x) {
  return *reinterpret_cast<const Pack<bf16, 8>*>(x);
}

// One block. `width` elements per token, a multiple of vec.
__global__ void guess_scale(const bf16* x, std::int64_t tokens, int width, TokenScale* scale) {
  __shared__ unsigned parts[sample_threads / 32];
  const std::int64_t sampled = min(tokens, static_cast<std::int64_t>(sampled_tokens));
  const int packs = width / 8;
  unsigned top = 0;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < sampled * packs; i += sample_threads) {
    const std::int64_t token = i / packs * tokens / sampled;
    top = larger(top, read_pack(x + token * width + i % packs * 8));
  }
  top = warp_largest(top);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = top;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (const unsigned part : parts) top = max(top, part);
  scale->guess = fmaxf(__uint_as_float(top) * (room / largest_e4m3), smallest);
  scale->most = 0;
}

/// vec elements, which are stored in one access.
struct Piece {
  Pack<bf16, 8> halves[2];
  __device__ explicit Piece(const bf16* x) : halves{read_pack(x), read_pack(x + 8)} {}
  __device__ void store(std::uint8_t* to, float factor) const {
    float wide[vec];
#pragma unroll
    for (int i = 0; i < vec; ++i) wide[i] = to_float(halves[i / 8].x[i % 8]);
    store_e4m3(to, wide, factor);
  }
};

// With the scale as guessed; finds the largest. `count` is a multiple of vec.
__global__ void write_guessed(const bf16* x, std::int64_t count, TokenScale* scale,
                              std::uint8_t* out) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads * vec;
  const float factor = 1 / scale->guess;
  unsigned top = 0;
  for (std::int64_t i = (blockIdx.x * static_cast<std::int64_t>(threads) + threadIdx.x) * vec;
       i < count; i += step) {
    const Piece piece(x + i);
    top = larger(larger(top, piece.halves[0]), piece.halves[1]);
    piece.store(out + i, factor);
  }
  top = warp_largest(top);
  if (threadIdx.x % 32 == 0) atomicMax(reinterpret_cast<unsigned*>(&scale->most), top);
}

// Zero before.
__global__ void find_largest(const bf16* x, std::int64_t count, unsigned* most) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads * vec;
  unsigned top = 0;
  for (std::int64_t i = (blockIdx.x * static_cast<std::int64_t>(threads) + threadIdx.x) * vec;
       i < count; i += step) {
    const Piece piece(x + i);
    top = larger(larger(top, piece.halves[0]), piece.halves[1]);
  }
  top = warp_largest(top);
  if (threadIdx.x % 32 == 0) atomicMax(most, top);
}

// Settles the scale; writes again only where the guess was too small (or the largest is a NaN).
__global__ void write_again(const bf16* x, std::int64_t count, TokenScale* scale,
                            std::uint8_t* out) {
  const float guess = scale->guess, most = scale->most;
  const bool fits = most <= guess * largest_e4m3;
  const float descale = fits ? guess : most / largest_e4m3;
  if (blockIdx.x == 0 && threadIdx.x == 0) scale->descale = descale;
  if (fits) return;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads * vec;
  for (std::int64_t i = (blockIdx.x * static_cast<std::int64_t>(threads) + threadIdx.x) * vec;
       i < count; i += step) {
    Piece(x + i).store(out + i, 1 / descale);
  }
}

// ---- values, transposed ------------------------------------------------------------------------

constexpr int transposed_keys = 128;     // of a block
constexpr int transposed_columns = 128;  // all of a head
constexpr int words = transposed_keys / 4;

/// 128 keys of one head, with the scale as guessed or as settled: v [N, H, 128] to
/// out [H, 128, whole tiles of N] in the order of E4m3Operands. A block's words lie in shared
/// memory as [column][keys / 4], 16-byte chunks swizzled by column, so that few accesses conflict.
__device__ void transpose_tile(const bf16* v, int keys, float factor, unsigned& top,
                               std::uint8_t* out) {
  __shared__ uint4 tile[transposed_columns][words / 4];
  const auto heads = static_cast<std::int64_t>(gridDim.y);
  const std::int64_t head = blockIdx.y;
  const int first = static_cast<int>(blockIdx.x) * transposed_keys;
  const auto thread = static_cast<int>(threadIdx.x);
  __syncthreads();
#pragma unroll
  for (int i = thread; i < words * 16; i += threads) {
    const int pack = i % 16, word = i / 16;
    // Of four consecutive numbers of the summed index.
    const int key = first + word / 8 * 32 + word % 8 / 4 * 16 + word % 4 * 2;
    Pack<bf16, 8> four[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int at = key + j / 2 * 8 + j % 2;
      four[j] = at < keys ? read_pack(v + (at * heads + head) * transposed_columns + pack * 8)
                          : Pack<bf16, 8>{};
      top = larger(top, four[j]);
    }
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      const int column = pack * 8 + c;
      Pack<__nv_fp8x2_storage_t, 2> two;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        two.x[j] = __nv_cvt_float2_to_fp8x2(make_float2(to_float(four[2 * j].x[c]) * factor,
                                                        to_float(four[2 * j + 1].x[c]) * factor),
                                            __NV_SATFINITE, __NV_E4M3);
      }
      auto* row = reinterpret_cast<std::uint32_t*>(tile[column]);
      memcpy(row + ((word / 4) ^ (pack % 8)) * 4 + word % 4, &two, sizeof two);
    }
  }
  __syncthreads();
  const std::int64_t row_bytes = static_cast<std::int64_t>(gridDim.x) * transposed_keys;
#pragma unroll
  for (int i = thread; i < transposed_columns * words / 4; i += threads) {
    const int column = i / (words / 4), chunk = i % (words / 4);
    std::uint8_t* to = out + (head * transposed_columns + column) * row_bytes + first + chunk * 16;
    *reinterpret_cast<uint4*>(to) = tile[column][chunk ^ (column / 8 % 8)];
  }
}

// As write_guessed(). Grid [tiles of keys, heads].
__global__ void transpose_guessed(const bf16* v, int keys, TokenScale* scale, std::uint8_t* out) {
  unsigned top = 0;
  transpose_tile(v, keys, 1 / scale->guess, top, out);
  top = warp_largest(top);
  if (threadIdx.x % 32 == 0) atomicMax(reinterpret_cast<unsigned*>(&scale->most), top);
}

// As write_again().
__global__ void transpose_again(const bf16* v, int keys, TokenScale* scale, std::uint8_t* out) {
  const float guess = scale->guess, most = scale->most;
  const bool fits = most <= guess * largest_e4m3;
  const float descale = fits ? guess : most / largest_e4m3;
  if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0) scale->descale = descale;
  if (fits) return;
  unsigned top = 0;
  transpose_tile(v, keys, 1 / descale, top, out);
}

// ---- cuDNN's scalars and results ---------------------------------------------------------------

__host__ __device__ constexpr int line_of(Fp8Scalar which) {
  return static_cast<int>(which) - static_cast<int>(Fp8Scalar::scale_weights);
}

// One thread.
__global__ void fill_table(const TokenScale* values, int tokens, float* table) {
  const auto at = [=](Fp8Scalar which) -> float& { return table[line_of(which) * line]; };
  const float most = values->most;
  at(Fp8Scalar::scale_weights) = weights_scale;
  at(Fp8Scalar::descale_weights) = 1 / weights_scale;
  at(Fp8Scalar::scale_out) = most < smallest ? 1.F : largest_e4m3 / most;
  at(Fp8Scalar::descale_out) = most < smallest ? 1.F : most / largest_e4m3;
  at(Fp8Scalar::amax_weights) = 0;
  at(Fp8Scalar::amax_out) = 0;
  at(Fp8Scalar::tokens) = __int_as_float(tokens);
}

__global__ void from_e4m3(const std::uint8_t* in, std::int64_t count, const float* descale,
                          bf16* out) {
  const std::int64_t i = (blockIdx.x * static_cast<std::int64_t>(threads) + threadIdx.x) * vec;
  if (i >= count) return;
  const float factor = *descale;
  const auto pairs = *reinterpret_cast<const Pack<std::uint16_t, vec / 2>*>(in + i);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float x[vec / 2];
#pragma unroll
    for (int p = 0; p < vec / 4; ++p) {
      const __half2 two(__nv_cvt_fp8x2_to_halfraw2(pairs.x[half * (vec / 4) + p], __NV_E4M3));
      x[2 * p] = __low2float(two) * factor;
      x[2 * p + 1] = __high2float(two) * factor;
    }
    store(out + i + half * (vec / 2), x);
  }
}

__global__ void fill_with(const float* value, float divisor, std::int64_t count, float* to) {
  const std::int64_t i = blockIdx.x * static_cast<std::int64_t>(threads) + threadIdx.x;
  if (i < count) to[i] = *value / divisor;
}

std::uint8_t* bytes_of(const Tensor& x) { return reinterpret_cast<std::uint8_t*>(x.raw()); }

// Of a token.
std::int64_t width_of(const Shape& tokens) { return tokens.numel() / tokens[0]; }

std::int64_t scale_offset(const Shape& tokens) { return whole_tiles(tokens[0]) * width_of(tokens); }

}  // namespace

Tensor e4m3_tokens(const Shape& tokens) {
  WEFT_ASSERT(tokens[0] > 0 && width_of(tokens) % vec == 0, "e4m3 tokens {}", tokens.str());
  const std::int64_t count = tokens.numel(), scale = scale_offset(tokens);
  const Tensor whole = Tensor::empty({scale + static_cast<std::int64_t>(sizeof(TokenScale))},
                                     DType::f8e4m3, DeviceKind::cuda);
  if (scale > count) fill_zero(whole.slice(count, scale));
  return whole.slice(0, count).reshape(tokens);
}

TokenScale* token_scale(const Tensor& x) {
  const std::int64_t scale = scale_offset(x.shape());
  WEFT_ASSERT(x.dtype() == DType::f8e4m3 && x.raw() == x.storage()->data() &&
                  x.storage()->bytes() == static_cast<std::size_t>(scale) + sizeof(TokenScale),
              "{} {} is no whole tensor of e4m3 tokens", dtype_name(x.dtype()), x.shape().str());
  return reinterpret_cast<TokenScale*>(x.raw() + scale);
}

namespace {

/// x [N, H, d] bf16 as tokens at `to`.
void quantise_to(const Tensor& x, TokenScale* scale, std::uint8_t* to) {
  const bf16* from = elements<bf16>(x);
  const std::int64_t count = x.numel();
  const unsigned blocks = std::min(blocks_for(count, threads * vec), most_blocks);
  guess_scale<<<1, sample_threads, 0, cuda_stream()>>>(
      from, x.dim(0), static_cast<int>(width_of(x.shape())), scale);
  check_launch("guess_scale");
  write_guessed<<<blocks, threads, 0, cuda_stream()>>>(from, count, scale, to);
  check_launch("write_guessed");
  write_again<<<blocks, threads, 0, cuda_stream()>>>(from, count, scale, to);
  check_launch("write_again");
}

/// v [N, H, 128] bf16 as E4m3Operands::v at `to`.
void transpose_to(const Tensor& v, TokenScale* scale, std::uint8_t* to) {
  const std::int64_t tokens = v.dim(0);
  const auto keys = static_cast<int>(tokens);
  const bf16* from = elements<bf16>(v);
  const dim3 grid(static_cast<unsigned>(whole_tiles(tokens) / transposed_keys),
                  static_cast<unsigned>(v.dim(1)));
  guess_scale<<<1, sample_threads, 0, cuda_stream()>>>(
      from, tokens, static_cast<int>(width_of(v.shape())), scale);
  check_launch("guess_scale");
  transpose_guessed<<<grid, threads, 0, cuda_stream()>>>(from, keys, scale, to);
  check_launch("transpose_guessed");
  transpose_again<<<grid, threads, 0, cuda_stream()>>>(from, keys, scale, to);
  check_launch("transpose_again");
}

Tensor in_e4m3(const Tensor& x) { return x.dtype() == DType::f8e4m3 ? x : quantise(x); }

/// Where things lie in an e4m3_block(): v transposed, k, the scales of both.
struct BlockPlaces {
  std::int64_t k, v_scale, k_scale, end;
  explicit BlockPlaces(const Shape& tokens)
      : k(whole_tiles(tokens[0]) * width_of(tokens)),
        v_scale(k + tokens.numel()),
        k_scale(v_scale + static_cast<std::int64_t>(sizeof(TokenScale))),
        end(k_scale + static_cast<std::int64_t>(sizeof(TokenScale))) {}
};

Tensor empty_bytes(std::int64_t count) {
  return Tensor::empty({count}, DType::f8e4m3, DeviceKind::cuda);
}

Tensor transposed_part(const Tensor& bytes, const Shape& tokens) {
  const Shape shape{tokens[1], transposed_columns, whole_tiles(tokens[0])};
  return bytes.slice(0, shape.numel()).reshape(shape);
}

TokenScale* scale_at(const Tensor& bytes, std::int64_t at) {
  return reinterpret_cast<TokenScale*>(bytes.raw() + at);
}

}  // namespace

Tensor quantise(const Tensor& x) {
  const Tensor to = e4m3_tokens(x.shape());
  quantise_to(x, token_scale(to), bytes_of(to));
  return to;
}

E4m3Operands e4m3_operands(const Tensor& q, const Tensor& k, const Tensor& v) {
  const Tensor q8 = in_e4m3(q), k8 = in_e4m3(k);
  const std::int64_t scale = BlockPlaces(v.shape()).k;  // behind v
  const Tensor v8 = empty_bytes(scale + static_cast<std::int64_t>(sizeof(TokenScale)));
  transpose_to(v, scale_at(v8, scale), bytes_of(v8));
  return {q8,
          k8,
          transposed_part(v8, v.shape()),
          token_scale(q8),
          token_scale(k8),
          scale_at(v8, scale)};
}

std::int64_t e4m3_block_bytes(const Shape& tokens) { return BlockPlaces(tokens).end; }

Tensor e4m3_block(const Tensor& k, const Tensor& v) {
  const BlockPlaces at(k.shape());
  const Tensor block = empty_bytes(at.end);
  transpose_to(v, scale_at(block, at.v_scale), bytes_of(block));
  quantise_to(k, scale_at(block, at.k_scale), bytes_of(block) + at.k);
  return block;
}

E4m3Operands e4m3_operands(const Tensor& q, const Tensor& block, const Shape& tokens) {
  const BlockPlaces at(tokens);
  return {q,
          block.slice(at.k, at.v_scale).reshape(tokens),
          transposed_part(block, tokens),
          token_scale(q),
          scale_at(block, at.k_scale),
          scale_at(block, at.v_scale)};
}

float* Fp8Operands::scalar(Fp8Scalar which) const {
  switch (which) {
    case Fp8Scalar::descale_q:
      return &token_scale(q)->descale;
    case Fp8Scalar::descale_k:
      return &token_scale(k)->descale;
    case Fp8Scalar::descale_v:
      return &token_scale(v)->descale;
    default:
      return table.data<float>() + static_cast<std::int64_t>(line_of(which)) * line;
  }
}

Fp8Operands fp8_operands(const Tensor& q, const Tensor& k, const Tensor& v) {
  Fp8Operands operands{
      in_e4m3(q), in_e4m3(k), quantise(v),
      Tensor::empty({line_of(Fp8Scalar::count), line}, DType::f32, DeviceKind::cuda)};
  fill_table<<<1, 1, 0, cuda_stream()>>>(token_scale(operands.v), static_cast<int>(q.dim(0)),
                                         operands.table.data<float>());
  check_launch("fill_table");
  return operands;
}

void dequantise(const Tensor& stored, const Fp8Operands& operands, const Tensor& out) {
  const std::int64_t count = out.numel();
  from_e4m3<<<blocks_for(count, threads * vec), threads, 0, cuda_stream()>>>(
      bytes_of(stored), count, operands.scalar(Fp8Scalar::descale_out), elements<bf16>(out));
  check_launch("from_e4m3");
}

void fill_scales(const Fp8Operands& operands, const Tensor& scale) {
  const std::int64_t count = scale.numel();
  fill_with<<<blocks_for(count, threads), threads, 0, cuda_stream()>>>(
      operands.scalar(Fp8Scalar::descale_out), 1, count, elements<float>(scale));
  check_launch("fill_with");
}

Tensor largest_magnitude(const Tensor& x) {
  WEFT_ASSERT(x.numel() % vec == 0, "largest of {}", x.shape().str());
  const Tensor most = Tensor::zeros({1}, DType::f32, DeviceKind::cuda);
  const unsigned blocks = std::min(blocks_for(x.numel(), threads * vec), most_blocks);
  find_largest<<<blocks, threads, 0, cuda_stream()>>>(elements<bf16>(x), x.numel(),
                                                      reinterpret_cast<unsigned*>(most.raw()));
  check_launch("find_largest");
  return most;
}

void fill_scales_of(const float* largest, const Tensor& scale) {
  const std::int64_t count = scale.numel();
  fill_with<<<blocks_for(count, threads), threads, 0, cuda_stream()>>>(largest, largest_e4m3, count,
                                                                       elements<float>(scale));
  check_launch("fill_with");
}

}  // namespace weft::cuda
