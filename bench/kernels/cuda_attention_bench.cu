// The Hopper attention kernel in several tilings, in bfloat16 and e4m3: first each of them against
// a plain float32 loop over the same operands, then their speed at the sizes of the real models.
// With the argument "check", only the small checks (for the sanitizer). Exit code 1 when a result
// is wrong.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include <cuda_fp8.h>
#include <fmt/format.h>

#include "attention_cudnn.h"
#include "attention_fp8.h"
#include "attention_hopper.h"
#include "attention_hopper_kernel.cuh"

namespace weft::cuda {
namespace {

constexpr int width = 128;

// ---- inputs ------------------------------------------------------------------------------------

// How large keys are from the first to the last: flat, or growing towards one end, so that the
// rows' maxima rise (or do not) while tiles go by.
enum class Slope { flat, towards_first, towards_last };

__device__ std::uint32_t hash(std::uint32_t x) {
  x = (x ^ x >> 16) * 0x7FEB352DU;
  x = (x ^ x >> 15) * 0x846CA68BU;
  return x ^ x >> 16;
}
__device__ float uniform(std::uint32_t x) {  // (0, 1)
  return (static_cast<float>(hash(x) >> 8) + 0.5F) / 16777216.F;
}

// Normal values times a factor that goes from `first` to `last` along the rows.
__global__ void fill_normal(bf16* x, std::int64_t rows, std::int64_t row_size, unsigned seed,
                            float first, float last) {
  const std::int64_t count = rows * row_size;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    const auto n = static_cast<std::uint32_t>(i) * 2 + hash(seed);
    const float radius = sqrtf(-2 * logf(uniform(n)));
    const float normal = radius * cosf(2 * std::numbers::pi_v<float> * uniform(n + 1));
    const float at = static_cast<float>(i / row_size) / static_cast<float>(rows);
    x[i] = __float2bfloat16_rn(normal * (first + at * (last - first)));
  }
}

// Bytes of 0xFF: NaN in bfloat16 and float32.
Tensor all_nan(const Shape& shape, DType dtype) {
  Tensor x = Tensor::empty(shape, dtype, DeviceKind::cuda);
  check(cudaMemsetAsync(x.raw(), 0xFF, x.bytes(), cuda_stream()), "cudaMemsetAsync");
  return x;
}

constexpr std::int64_t margin = 64;  // rows of NaN around every tensor

Tensor random_heads(std::int64_t rows, std::int64_t heads, unsigned seed, float first = 1,
                    float last = 1) {
  const Tensor x =
      all_nan({rows + 2 * margin, heads, width}, DType::bf16).slice(margin, margin + rows);
  fill_normal<<<1024, 256, 0, cuda_stream()>>>(elements<bf16>(x), rows, heads * width, seed, first,
                                               last);
  check_launch("fill_normal");
  return x;
}

struct Case {
  std::int64_t queries, keys, heads;
  Slope slope = Slope::flat;
  float last_key_logit = 0;
  bool lse = true;
};

// What e4m3 operands stand for, in float32: tokens [N, H, 128].
__global__ void values_of(const std::uint8_t* stored, std::int64_t count, const float* descale,
                          float* out) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    const __half half(__nv_cvt_fp8_to_halfraw(stored[i], __NV_E4M3));
    out[i] = __half2float(half) * *descale;
  }
}
// stored [H, 128, padded], its keys permuted as E4m3Operands says, to out [N, H, 128].
__global__ void values_of_transposed(const std::uint8_t* stored, std::int64_t keys, int heads,
                                     std::int64_t padded, const float* descale, float* out) {
  const std::int64_t count = keys * heads * width;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    const std::int64_t key = i / (heads * width);
    const auto column = static_cast<int>(i % width), head = static_cast<int>(i / width % heads);
    const auto h = static_cast<int>(key / 16 % 2), high = static_cast<int>(key / 8 % 2);
    const auto t = static_cast<int>(key / 2 % 4), low = static_cast<int>(key % 2);
    const std::int64_t at = key / 32 * 32 + 16 * h + 4 * t + 2 * high + low;
    const __half half(__nv_cvt_fp8_to_halfraw(
        stored[(static_cast<std::int64_t>(head) * width + column) * padded + at], __NV_E4M3));
    out[i] = __half2float(half) * *descale;
  }
}

struct Values {
  Tensor q, k, v;  // [N, H, 128] float32
  explicit Values(const E4m3Operands& x)
      : q(of(x.q, *x.q_scale)),
        k(of(x.k, *x.k_scale)),
        v(Tensor::empty(x.k.shape(), DType::f32, DeviceKind::cuda)) {
    values_of_transposed<<<1024, 256, 0, cuda_stream()>>>(
        reinterpret_cast<const std::uint8_t*>(x.v.raw()), v.dim(0), static_cast<int>(v.dim(1)),
        x.v.dim(2), &x.v_scale->descale, elements<float>(v));
    check_launch("values_of_transposed");
  }
  static Tensor of(const Tensor& tokens, const TokenScale& scale) {
    const Tensor out = Tensor::empty(tokens.shape(), DType::f32, DeviceKind::cuda);
    values_of<<<1024, 256, 0, cuda_stream()>>>(reinterpret_cast<const std::uint8_t*>(tokens.raw()),
                                               tokens.numel(), &scale.descale,
                                               elements<float>(out));
    check_launch("values_of");
    return out;
  }
};

struct Inputs {
  Tensor q, k, v;
  explicit Inputs(const Case& c)
      : q(random_heads(c.queries, c.heads, 1)),
        k(random_heads(c.keys, c.heads, 2, c.slope == Slope::towards_first ? 6.F : 0.5F,
                       c.slope == Slope::towards_last ? 6.F : 0.5F)),
        v(random_heads(c.keys, c.heads, 3)),
        e4m3(e4m3_operands(q, k, v)) {}
  E4m3Operands e4m3;
};

const float scale = 1 / std::sqrt(static_cast<float>(width));

// ---- the plain loop ----------------------------------------------------------------------------

// One warp per head and sampled query (every `stride`-th, and the last); a lane has four columns.
// out [samples, H, 128], lse [samples, H].
template <class X>
__global__ void plain_attention(const X* q, const X* k, const X* v, int queries, int keys,
                                int stride, float factor, float last_key_logit, float* out,
                                float* lse) {
  const auto heads = static_cast<int>(gridDim.y);
  const auto head = static_cast<int>(blockIdx.y);
  const int query = min(static_cast<int>(blockIdx.x) * stride, queries - 1);
  const int column = static_cast<int>(threadIdx.x) * 4;
  const auto at = [&](int row) {
    return (static_cast<std::int64_t>(row) * heads + head) * width + column;
  };
  float mine[4];
  load(q + at(query), mine);
  float max = hopper_attention::minus_infinity;
  float sum = 0;
  float weighted[4] = {};
  for (int j = 0; j < keys; ++j) {
    float other[4];
    load(k + at(j), other);
    float dot = 0;
    for (int i = 0; i < 4; ++i) dot += mine[i] * other[i];
    const float logit = warp_sum(dot) * factor + (j == keys - 1 ? last_key_logit : 0);
    const float raised = fmaxf(max, logit);
    const float old = expf(max - raised);
    const float weight = expf(logit - raised);
    max = raised;
    sum = sum * old + weight;
    load(v + at(j), other);
    for (int i = 0; i < 4; ++i) weighted[i] = weighted[i] * old + weight * other[i];
  }
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * heads + head;
  for (int i = 0; i < 4; ++i) out[row * width + column + i] = weighted[i] / sum;
  if (threadIdx.x == 0) lse[row] = max + logf(sum);
}

// Per sampled row: |out - expected| / |expected|, and |lse - expected|.
__global__ void compare(const bf16* out, const float* lse, int queries, int stride,
                        const float* expected, const float* expected_lse, float* error,
                        float* lse_error) {
  const auto heads = static_cast<int>(gridDim.y);
  const auto head = static_cast<int>(blockIdx.y);
  const int query = min(static_cast<int>(blockIdx.x) * stride, queries - 1);
  const int column = static_cast<int>(threadIdx.x) * 4;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * heads + head;
  float got[4];
  load(out + (static_cast<std::int64_t>(query) * heads + head) * width + column, got);
  float difference = 0;
  float norm = 0;
  for (int i = 0; i < 4; ++i) {
    const float wanted = expected[row * width + column + i];
    difference += (got[i] - wanted) * (got[i] - wanted);
    norm += wanted * wanted;
  }
  difference = warp_sum(difference);
  norm = warp_sum(norm);
  if (threadIdx.x != 0) return;
  error[row] = sqrtf(difference / norm);
  const float got_lse =
      lse == nullptr ? expected_lse[row] : lse[static_cast<std::int64_t>(head) * queries + query];
  lse_error[row] = fabsf(got_lse - expected_lse[row]);
}

std::vector<float> on_host(const Tensor& x) {
  Tensor host = Tensor::empty({x.numel()});
  copy(x.reshape({x.numel()}), host);
  return {host.span().begin(), host.span().end()};
}
float worst(const Tensor& errors) {
  float most = 0;
  for (const float e : on_host(errors)) {
    if (!(e <= most)) most = std::isnan(e) ? INFINITY : e;
  }
  return most;
}

// The expected results of a case, for all queries or for some sixty.
class Expected {
 public:
  /// Of bf16 tensors or of Values.
  template <class X, class Source>
  static Expected of(const Case& c, const Source& in) {
    Expected e(c);
    plain_attention<<<e.grid_, 32, 0, cuda_stream()>>>(
        elements<X>(in.q), elements<X>(in.k), elements<X>(in.v), static_cast<int>(c.queries),
        static_cast<int>(c.keys), e.stride_, scale, c.last_key_logit, elements<float>(e.out_),
        elements<float>(e.lse_));
    check_launch("plain_attention");
    return e;
  }
  struct Errors {
    float out, lse;
    /// In bf16 a weight is rounded to 2^-9, and so is a result: 1.7e-3 of a row's norm. In e4m3 a
    /// weight is rounded to 2^-4: 2.6e-2, and as much again in rows of few keys.
    [[nodiscard]] bool small(bool e4m3) const {
      return out < (e4m3 ? 5e-2F : 6e-3F) && lse < (e4m3 ? 3e-2F : 1e-3F);
    }
  };
  [[nodiscard]] Errors errors_of(const Tensor& out, const Tensor& lse) const {
    const Tensor error = Tensor::empty(lse_.shape(), DType::f32, DeviceKind::cuda);
    const Tensor lse_error = Tensor::empty(lse_.shape(), DType::f32, DeviceKind::cuda);
    compare<<<grid_, 32, 0, cuda_stream()>>>(
        elements<bf16>(out), lse.defined() ? elements<float>(lse) : nullptr,
        static_cast<int>(out.dim(0)), stride_, elements<float>(out_), elements<float>(lse_),
        elements<float>(error), elements<float>(lse_error));
    check_launch("compare");
    return {worst(error), worst(lse_error)};
  }

 private:
  explicit Expected(const Case& c)
      : stride_(c.queries <= 1000 ? 1 : static_cast<int>(c.queries / 61)),
        grid_(static_cast<unsigned>((c.queries - 1 + stride_) / stride_ + 1),
              static_cast<unsigned>(c.heads)),
        out_(Tensor::empty({grid_.x, c.heads, width}, DType::f32, DeviceKind::cuda)),
        lse_(Tensor::empty({grid_.x, c.heads}, DType::f32, DeviceKind::cuda)) {}
  int stride_;
  dim3 grid_;
  Tensor out_, lse_;
};

// ---- the kernels -------------------------------------------------------------------------------

using Kernel = void (*)(const Inputs& in, const AttentionArgs& args, const Tensor& out);
struct Candidate {
  const char* name;
  Kernel run;
  bool e4m3 = false;
};

template <int Consumers, int Keys, bool Overlapped, bool InTurns, bool Lazy, int Cluster,
          int QueryStages = 1>
constexpr Kernel tiled = [](const Inputs& in, const AttentionArgs& args, const Tensor& out) {
  hopper_attention::attention_tiled<
      hopper_attention::Tiling<Consumers, Keys, Overlapped, InTurns, Lazy, Cluster, QueryStages>>(
      in.q, in.k, in.v, args, out);
};
void in_e4m3(const Inputs& in, const AttentionArgs& args, const Tensor& out) {
  attention_of_e4m3(in.e4m3, args, out);
}
void with_cudnn(const Inputs& in, const AttentionArgs& args, const Tensor& out) {
  static CudnnAttention cudnn;
  static Tensor stored;
  static Fp8Operands operands;
  static const Inputs* made_of = nullptr;
  if (made_of != &in ||
      operands.q.shape() !=
          in.q.shape()) {  // operands are not part of the time, as for the other candidates
    made_of = &in;
    operands = fp8_operands(in.q, in.k, in.v);
    stored =
        Tensor::empty(in.q.shape().with(0, whole_tiles(in.q.dim(0))), DType::u8, DeviceKind::cuda);
    WEFT_ASSERT(cudnn.has_fp8(in.q.shape(), args.scale), "cuDNN has no such attention");
  }
  cudnn.run(operands, args.scale, stored);
  (void)out;
}

constexpr std::array candidates{
    Candidate{"128 x 176, cluster", tiled<2, 176, true, true, true, 2>},
    Candidate{"128 x 176, no cluster", tiled<2, 176, true, true, true, 1>},
    Candidate{"128 x 176, cluster, always rescaled", tiled<2, 176, true, true, false, 2>},
    Candidate{"128 x 176, cluster, no turns", tiled<2, 176, true, false, true, 2>},
    Candidate{"128 x 128, cluster", tiled<2, 128, true, true, true, 2>},
    Candidate{"192 x 128, cluster, in steps", tiled<3, 128, false, false, true, 2>},
    Candidate{"192 x 128, cluster, in steps, queries ahead",
              tiled<3, 128, false, false, true, 2, 2>},
    Candidate{"192 x 128, no cluster, in steps", tiled<3, 128, false, false, true, 1>},
    Candidate{"e4m3 192 x 128", in_e4m3, true},
};

// ---- checks ------------------------------------------------------------------------------------

// Whether the NaN around x, in a tensor that is `edge` rows longer at both ends, is still there.
bool margins_intact(const Tensor& whole, std::int64_t edge) {
  const auto intact = [](const Tensor& part) {
    Tensor host = Tensor::empty(part.shape(), part.dtype());
    copy(part, host);
    return std::all_of(host.raw(), host.raw() + host.bytes(),
                       [](std::byte b) { return b == std::byte{0xFF}; });
  };
  return intact(whole.slice(0, edge)) && intact(whole.slice(whole.dim(0) - edge, whole.dim(0)));
}

bool passes(const Candidate& candidate, const Case& c, const Inputs& in, const Expected& expected) {
  const Tensor whole_out = all_nan({c.queries + 2 * margin, c.heads, width}, DType::bf16);
  const Tensor whole_lse = all_nan({c.heads * c.queries + 2 * margin}, DType::f32);
  const Tensor out = whole_out.slice(margin, margin + c.queries);
  AttentionArgs args;
  args.scale = scale;
  args.last_key_logit = c.last_key_logit;
  if (c.lse) {
    args.lse = whole_lse.slice(margin, margin + c.heads * c.queries).reshape({c.heads, c.queries});
  }
  WEFT_ASSERT(attention_hopper_fits(in.q, in.k, args), "the kernel would not be chosen");
  candidate.run(in, args, out);
  const Expected::Errors errors = expected.errors_of(out, args.lse);
  const bool intact = margins_intact(whole_out, margin) && margins_intact(whole_lse, margin);
  if (errors.small(candidate.e4m3) && intact) return true;
  fmt::print(
      "WRONG: {}: {} queries, {} keys, {} heads, slope {}, last key {}: out {:.2e}, lse "
      "{:.2e}{}\n",
      candidate.name, c.queries, c.keys, c.heads, static_cast<int>(c.slope), c.last_key_logit,
      errors.out, errors.lse, intact ? "" : ", written outside");
  return false;
}

int count_wrong(const std::vector<Case>& cases) {
  std::array<int, candidates.size()> wrong{};
  for (const Case& c : cases) {
    const Inputs in(c);
    const auto expected = Expected::of<bf16>(c, in);
    Case plain = c;
    plain.last_key_logit = 0;  // not in e4m3
    const auto expected_e4m3 = Expected::of<float>(plain, Values(in.e4m3));
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const bool e4m3 = candidates[i].e4m3;
      if (!passes(candidates[i], e4m3 ? plain : c, in, e4m3 ? expected_e4m3 : expected)) {
        ++wrong[i];
      }
    }
  }
  int all = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    fmt::print("{:<45}{} of {} wrong\n", candidates[i].name, wrong[i], cases.size());
    all += wrong[i];
  }
  std::fflush(stdout);
  return all;
}

std::vector<Case> small_cases() {
  constexpr std::array<std::int64_t, 10> sizes{1, 63, 64, 65, 127, 128, 129, 200, 513, 1000};
  constexpr std::array slopes{Slope::flat, Slope::towards_first, Slope::towards_last};
  std::vector<Case> cases;
  for (const std::int64_t queries : sizes) {
    for (const std::int64_t keys : sizes) {
      const std::size_t n = cases.size();
      cases.push_back({queries, keys, 1 + static_cast<std::int64_t>(n % 3), slopes[n % 3],
                       n % 2 == 0 ? 0 : 3.5F, n % 5 != 0});
    }
  }
  return cases;
}

// Several query blocks for every block of threads, and hundreds of tiles.
std::vector<Case> long_cases() {
  return {{4000, 3000, 40, Slope::towards_first, 2}, {5000, 78, 12, Slope::flat, 6},
          {1500, 20000, 12, Slope::towards_last},    {32760, 32760, 12},
          {32760, 513, 12, Slope::flat, 6},          {27280, 27280, 2, Slope::towards_first}};
}

// Races show as results that differ between runs.
bool repeats(const Candidate& candidate) {
  const Inputs in({16380, 16380, 12});
  AttentionArgs args;
  args.scale = scale;
  Tensor first = Tensor::empty(in.q.shape(), DType::bf16);
  Tensor again = Tensor::empty(in.q.shape(), DType::bf16);
  for (int run = 0; run < 6; ++run) {
    const Tensor out = all_nan(in.q.shape(), DType::bf16);
    candidate.run(in, args, out);
    copy(out, run == 0 ? first : again);
    if (run > 0 && std::memcmp(first.raw(), again.raw(), first.bytes()) != 0) {
      fmt::print("WRONG: {}: run {} gives other bits than the first\n", candidate.name, run);
      return false;
    }
  }
  return true;
}

// ---- speed -------------------------------------------------------------------------------------

float median_ms(const std::function<void()>& f) {
  constexpr int runs = 10;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  std::vector<float> ms(runs);
  f();
  for (float& m : ms) {
    check(cudaEventRecord(begin, cuda_stream()), "cudaEventRecord");
    f();
    check(cudaEventRecord(end, cuda_stream()), "cudaEventRecord");
    check(cudaEventSynchronize(end), "cudaEventSynchronize");
    check(cudaEventElapsedTime(&m, begin, end), "cudaEventElapsedTime");
  }
  check(cudaEventDestroy(begin), "cudaEventDestroy");
  check(cudaEventDestroy(end), "cudaEventDestroy");
  std::nth_element(ms.begin(), ms.begin() + runs / 2, ms.end());
  return ms[runs / 2];
}

/// Of the candidates whose names begin with `name`.
void print_speeds(const std::string& name) {
  const std::array cases{
      Case{32760, 32760, 12}, Case{27280, 27280, 24}, Case{32760, 32760, 40},
      Case{75600, 75600, 40}, Case{32760, 78, 12},    Case{32760, 513, 12},
      Case{16380, 16380, 12}, Case{13640, 13640, 24}, Case{16380, 16380, 40}};  // a ring of two
  for (const Case& c : cases) {
    fmt::print("\n{} heads, {} queries x {} keys\n", c.heads, c.queries, c.keys);
    const Inputs in(c);
    const Tensor out = Tensor::empty(in.q.shape(), DType::bf16, DeviceKind::cuda);
    AttentionArgs args;
    args.scale = scale;
    const auto print = [&](const Candidate& candidate) {
      if (!std::string_view(candidate.name).starts_with(name)) return;
      const float ms = median_ms([&] { candidate.run(in, args, out); });
      const double flops = 4. * static_cast<double>(c.heads * width) *
                           static_cast<double>(c.queries) * static_cast<double>(c.keys);
      fmt::print("  {:<45}{:>10.3f} ms {:>7.1f} TFLOP/s\n", candidate.name, ms, flops / ms / 1e9);
      std::fflush(stdout);
    };
    for (const Candidate& candidate : candidates) print(candidate);
    if (c.queries == c.keys) print({"e4m3 by cuDNN", with_cudnn, true});
    const float ms = median_ms([&] { e4m3_operands(in.e4m3.q, in.e4m3.k, in.v); });
    fmt::print("  {:<45}{:>10.3f} ms\n", "V to e4m3, transposed", ms);
  }
}

int run(bool only_checks) {
  fmt::print("small cases\n");
  int wrong = count_wrong(small_cases());
  if (only_checks) return wrong == 0 ? 0 : 1;
  fmt::print("\nlong cases\n");
  wrong += count_wrong(long_cases());
  for (const Candidate& candidate : candidates) wrong += repeats(candidate) ? 0 : 1;
  if (wrong > 0) return 1;  // no speed of wrong results
  print_speeds("");
  return 0;
}

}  // namespace
}  // namespace weft::cuda

// Without arguments: all checks, then the speeds of all. "check": the small cases only. "speed
// NAME": nothing but the speeds of the kernels whose names begin so, to compare two builds in
// turns.
int main(int count, char** arguments) {
  try {
    const std::string what = count > 1 ? arguments[1] : "";
    if (what == "speed") {
      weft::cuda::print_speeds(count > 2 ? arguments[2] : "");
      return 0;
    }
    return weft::cuda::run(what == "check");
  } catch (const std::exception& e) {
    fmt::print("{}\n", e.what());
    return 1;
  }
}
