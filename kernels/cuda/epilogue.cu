#include <algorithm>

#include "activations.cuh"
#include "check.h"
#include "epilogue.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

template <class P, class C, class B>
struct Args {
  const P* product;
  C* c;                                   // may be the product
  std::int64_t product_stride, c_stride;  // of rows
  int cols;
  const float* row_scale;
  const float* col_scale;
  const B* bias;
  Activation act;
};

// A block per row, N elements per access. Scales and bias are read singly: a bias comes here
// because it is not aligned, and all of them stay in the cache from row to row.
template <int N, class P, class C, class B>
__global__ void epilogue_rows(Args<P, C, B> args) {
  const std::int64_t row = blockIdx.x;
  const P* product = args.product + row * args.product_stride;
  C* c = args.c + row * args.c_stride;
  const float row_scale = args.row_scale == nullptr ? 1.F : args.row_scale[row];
  for (int j = static_cast<int>(threadIdx.x) * N; j < args.cols;
       j += static_cast<int>(blockDim.x) * N) {
    float x[N];
    load(product + j, x);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      if (args.row_scale != nullptr) x[i] *= row_scale * args.col_scale[j + i];
      if (args.bias != nullptr) x[i] += to_float(args.bias[j + i]);
      x[i] = activate(x[i], args.act);
    }
    store(c + j, x);
  }
}

template <class P, class C, class B>
void launch(std::int64_t rows, const Args<P, C, B>& args) {
  constexpr int wide = 16 / sizeof(P);
  const auto address = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p); };
  const bool aligned = (address(args.product) | address(args.c)) % 16 == 0 &&
                       args.cols % wide == 0 && args.product_stride % wide == 0 &&
                       args.c_stride % wide == 0;
  const int accesses = aligned ? args.cols / wide : args.cols;
  const auto threads = static_cast<unsigned>(std::clamp(accesses, 32, 256));
  const auto blocks = static_cast<unsigned>(rows);
  if (aligned) {
    epilogue_rows<wide><<<blocks, threads, 0, cuda_stream()>>>(args);
  } else {
    epilogue_rows<1><<<blocks, threads, 0, cuda_stream()>>>(args);
  }
  check_launch("epilogue_rows");
}

template <class P, class C>
void apply_to(const Matrix& product, const Matrix& c, std::int64_t i, const Epilogue& e) {
  by_type(e.bias.type, [&](auto bias_type) {
    using B = decltype(bias_type);
    const B* bias = static_cast<const B*>(e.bias.data);
    if (bias != nullptr) bias += i * e.bias.batch_stride;
    launch<P, C, B>(c.rows,
                    {static_cast<const P*>(product.data) + i * product.batch_stride,
                     static_cast<C*>(c.data) + i * c.batch_stride, product.row_stride, c.row_stride,
                     static_cast<int>(c.cols), e.row_scale, e.col_scale, bias, e.act});
  });
}

}  // namespace

void apply_epilogue(const Matrix& product, const Matrix& c, std::int64_t batch,
                    const Epilogue& epilogue) {
  WEFT_ASSERT(batch == 1 || epilogue.row_scale == nullptr, "scales for a batch of {}", batch);
  WEFT_ASSERT(product.type == c.type || product.type == DType::f32, "{} to {}",
              dtype_name(product.type), dtype_name(c.type));
  for (std::int64_t i = 0; i < batch; ++i) {
    by_type(c.type, [&](auto c_type) {
      using C = decltype(c_type);
      if (product.type == DType::f32) {
        apply_to<float, C>(product, c, i, epilogue);
      } else {
        apply_to<C, C>(product, c, i, epilogue);
      }
    });
  }
}

}  // namespace weft::cuda
