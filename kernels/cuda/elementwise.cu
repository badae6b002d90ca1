// Operations on each element by itself.
#include <utility>

#include "activations.cuh"
#include "cuda_ops.h"
#include "packs.cuh"

namespace weft::cuda {
namespace {

void check_equal(const Tensor& a, const Tensor& b, const char* op) {
  WEFT_ASSERT(a.shape() == b.shape(), "{}: {} and {}", op, a.shape().str(), b.shape().str());
}

// ---- y = f(x...) ----

struct Sum {
  __device__ float operator()(float x, float y) const { return x + y; }
};

struct Silu {
  __device__ float operator()(float x) const { return silu(x); }
};

struct GatedGelu {
  __device__ float operator()(float x, float gate) const { return gelu_tanh(x) * gate; }
};

// The pixel value of x, still as float.
struct Pixel {
  __device__ float operator()(float x) const {
    const float above = x > -1.F ? x : -1.F;  // a NaN fails the comparison: black
    const float clamped = above < 1.F ? above : 1.F;
    return rintf(255.F * (clamped * 0.5F + 0.5F));
  }
};

template <int N>
struct Values {
  float x[N];
};

template <int N, class T>
__device__ Values<N> loaded(const T* from) {
  Values<N> v;
  load<N>(from, v.x);
  return v;
}

template <int N, class Y>
__device__ void stored(Y* to, const Values<N>& v) {
  if constexpr (sizeof(Y) == 1) {
    Pack<Y, N> p;
#pragma unroll
    for (int i = 0; i < N; ++i) p.x[i] = static_cast<Y>(v.x[i]);
    *reinterpret_cast<Pack<Y, N>*>(to) = p;
  } else {
    store<N>(to, v.x);
  }
}

template <int N, class F>
__device__ Values<N> applied(F f, const auto&... v) {
  Values<N> y;
#pragma unroll
  for (int i = 0; i < N; ++i) y.x[i] = f(v.x[i]...);
  return y;
}

// Everything is loaded before anything is stored, so y may be any of the x.
template <int N, class F, class Y, class... X>
__global__ void __launch_bounds__(threads_per_block)
    map(std::int64_t count, F f, Y* y, const X*... x) {
  const std::int64_t thread =
      static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  const std::int64_t begin = thread * N;
  if (begin + N <= count) {
    stored<N>(y + begin, applied<N>(f, loaded<N>(x + begin)...));
  } else {
    for (std::int64_t i = begin; i < count; ++i) {
      stored<1>(y + i, applied<1>(f, loaded<1>(x + i)...));
    }
  }
}

template <class F, class Y, class... X>
void launch_map(const char* name, std::int64_t count, F f, Y* y, const X*... x) {
  if (count == 0) return;
  by_pack(
      0,
      [&](auto pack) {
        constexpr int n = decltype(pack)::value;
        const unsigned blocks = blocks_for(count, std::int64_t{n} * threads_per_block);
        map<n><<<blocks, threads_per_block, 0, cuda_stream()>>>(count, f, y, x...);
      },
      y, x...);
  check_launch(name);
}

// ---- the other kernels ----

// Products and sums are rounded one by one, in the order given: the same bits as on the CPU.
template <std::size_t K>
struct Combination {
  float factors[K];
  __device__ float operator()(float first, auto... others) const {
    const float* factor = factors;
    float sum = __fmul_rn(*factor, first);
    ((sum = __fadd_rn(sum, __fmul_rn(*++factor, others))), ...);
    return sum;
  }
};

template <std::size_t... I>
void launch_combine(std::span<const Term> terms, const Tensor& out, std::index_sequence<I...>) {
  launch_map("combine", out.numel(), Combination<sizeof...(I)>{{terms[I].factor...}},
             elements<float>(out), elements<float>(terms[I].x)...);
}

template <int N>
__global__ void __launch_bounds__(threads_per_block)
    find_not_finite(std::int64_t count, const float* x, int* found) {
  const std::int64_t thread =
      static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  const std::int64_t begin = thread * N;
  bool finite = true;
  if (begin + N <= count) {
    for (const float value : loaded<N>(x + begin).x) finite = finite && isfinite(value);
  } else {
    for (std::int64_t i = begin; i < count; ++i) finite = finite && isfinite(x[i]);
  }
  if (!finite) *found = 1;  // whoever finds one writes the same
}

}  // namespace

void CudaOps::add(Tensor x, const Tensor& y) {
  check_equal(x, y, "add");
  by_type(x.dtype(), [&]<class X>(X) {
    by_type(y.dtype(), [&]<class Y>(Y) {
      launch_map("add", x.numel(), Sum{}, elements<X>(x), elements<X>(x), elements<Y>(y));
    });
  });
}

void CudaOps::silu(const Tensor& x, Tensor y) {
  check_equal(x, y, "silu");
  by_type(x.dtype(), [&]<class X>(X) {
    by_type(y.dtype(), [&]<class Y>(Y) {
      launch_map("silu", x.numel(), Silu{}, elements<Y>(y), elements<X>(x));
    });
  });
}

void CudaOps::gated_gelu(const Tensor& a, const Tensor& b, Tensor y) {
  check_equal(a, b, "gated_gelu");
  check_equal(a, y, "gated_gelu");
  WEFT_ASSERT(a.dtype() == b.dtype(), "gated_gelu of {} and {}", dtype_name(a.dtype()),
              dtype_name(b.dtype()));
  by_type(a.dtype(), [&]<class X>(X) {
    by_type(y.dtype(), [&]<class Y>(Y) {
      launch_map("gated_gelu", a.numel(), GatedGelu{}, elements<Y>(y), elements<X>(a),
                 elements<X>(b));
    });
  });
}

void CudaOps::combine(std::span<const Term> terms, Tensor out) {
  constexpr std::size_t most = 6;
  WEFT_ASSERT(!terms.empty() && terms.size() <= most, "combine: {} terms", terms.size());
  for (const Term& term : terms) check_equal(term.x, out, "combine");
  const auto launch = [&]<std::size_t... K>(std::index_sequence<K...>) {
    ((terms.size() == K + 1 ? launch_combine(terms, out, std::make_index_sequence<K + 1>{})
                            : void()),
     ...);
  };
  launch(std::make_index_sequence<most>{});
}

bool CudaOps::all_finite(const Tensor& x) {
  if (x.numel() == 0) return true;
  const Tensor found = Tensor::zeros({1}, DType::i32, DeviceKind::cuda);
  const float* from = elements<float>(x);
  by_pack(
      0,
      [&](auto pack) {
        constexpr int n = decltype(pack)::value;
        const unsigned blocks = blocks_for(x.numel(), std::int64_t{n} * threads_per_block);
        find_not_finite<n><<<blocks, threads_per_block, 0, cuda_stream()>>>(
            x.numel(), from, found.data<std::int32_t>());
      },
      from);
  check_launch("all_finite");
  return *found.to(DeviceKind::cpu).data<std::int32_t>() == 0;
}

void CudaOps::to_u8(const Tensor& x, Tensor y) {
  check_equal(x, y, "to_u8");
  by_type(x.dtype(), [&]<class X>(X) {
    launch_map("to_u8", x.numel(), Pixel{}, y.data<std::uint8_t>(), elements<X>(x));
  });
}

}  // namespace weft::cuda
