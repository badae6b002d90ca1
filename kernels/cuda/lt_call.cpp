#include "lt_call.h"

#include "check.h"
#include "stream.h"

namespace weft::cuda {
namespace {

cudaDataType_t library_type(DType type) {
  if (type == DType::f32) return CUDA_R_32F;
  if (type == DType::bf16) return CUDA_R_16BF;
  WEFT_ASSERT(type == DType::u8, "matmul of {}", dtype_name(type));
  return CUDA_R_8F_E4M3;
}

template <class T>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t what, const T& value) {
  check(cublasLtMatmulDescSetAttribute(operation, what, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute");
}
template <class T>
void set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t what, const T& value) {
  check(cublasLtMatrixLayoutSetAttribute(layout, what, &value, sizeof value),
        "cublasLtMatrixLayoutSetAttribute");
}
template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t what,
         const T& value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference, what, &value, sizeof value),
        "cublasLtMatmulPreferenceSetAttribute");
}

// The largest power of two, at most 256, that divides both.
std::uint32_t common_alignment(const void* data, std::int64_t step_bytes) {
  const std::uintptr_t bits =
      reinterpret_cast<std::uintptr_t>(data) | static_cast<std::uintptr_t>(step_bytes) | 256U;
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

// Of every matrix of a batch.
std::uint32_t alignment(const Matrix& x, std::int64_t batch) {
  const auto size = static_cast<std::int64_t>(dtype_size(x.type));
  return common_alignment(x.data, batch == 1 ? 0 : x.batch_stride * size);
}

}  // namespace

Product::Key Product::key() const {
  const auto bias_size = static_cast<std::int64_t>(dtype_size(bias.type));
  const std::int64_t bias_alignment =
      bias.data == nullptr
          ? 0
          : common_alignment(bias.data, batch == 1 ? 0 : bias.batch_stride * bias_size);
  return {a.rows,
          a.cols,
          c.cols,
          batch,
          static_cast<std::int64_t>(a.type),
          static_cast<std::int64_t>(c.type),
          static_cast<std::int64_t>(bias.type),
          static_cast<std::int64_t>(second),
          static_cast<std::int64_t>(act),
          a.row_stride,
          b.row_stride,
          c.row_stride,
          a.batch_stride,
          b.batch_stride,
          c.batch_stride,
          bias.batch_stride,
          alignment(a, batch),
          alignment(b, batch),
          alignment(c, batch),
          bias_alignment,
          a_scale == nullptr ? 0 : 1};
}

double Product::flops() const {
  return 2 * static_cast<double>(batch) * static_cast<double>(a.rows) *
         static_cast<double>(a.cols) * static_cast<double>(c.cols);
}

LtCall::Layout LtCall::layout(const Matrix& matrix, std::int64_t batch) {
  cublasLtMatrixLayout_t made = nullptr;
  check(cublasLtMatrixLayoutCreate(&made, library_type(matrix.type),
                                   static_cast<std::uint64_t>(matrix.cols),
                                   static_cast<std::uint64_t>(matrix.rows), matrix.row_stride),
        "cublasLtMatrixLayoutCreate");
  Layout owned(made);
  if (batch > 1) {
    set(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(batch));
    set(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, matrix.batch_stride);
  }
  return owned;
}

LtCall::LtCall(const Product& product, const Fused& fused)
    : product_(product),
      a_(layout(product.a, product.batch)),
      b_(layout(product.b, product.batch)),
      c_(layout(product.c, product.batch)) {
  cublasLtMatmulDesc_t made = nullptr;
  check(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  operation_.reset(made);
  const bool transposed = product.second == SecondFactor::transposed;
  set(made, CUBLASLT_MATMUL_DESC_TRANSA,
      static_cast<std::int32_t>(transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
  if (product.a.type == DType::u8) set_fp8(fused);
  set_epilogue(fused);
}

void LtCall::set_fp8(const Fused& fused) {
  set(operation_.get(), CUBLASLT_MATMUL_DESC_FAST_ACCUM, std::int8_t{1});
  if (!fused.scales) return;
  constexpr std::int32_t per_row = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
  set(operation_.get(), CUBLASLT_MATMUL_DESC_A_SCALE_MODE, per_row);
  set(operation_.get(), CUBLASLT_MATMUL_DESC_B_SCALE_MODE, per_row);
  set(operation_.get(), CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, product_.b_scale);
  set(operation_.get(), CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, product_.a_scale);
}

void LtCall::set_epilogue(const Fused& fused) {
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  if (fused.bias) epilogue = fused.act ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  if (!fused.bias && fused.act) epilogue = CUBLASLT_EPILOGUE_GELU;
  set(operation_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
  if (!fused.bias) return;
  const Bias& bias = product_.bias;
  set(operation_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.data);
  set(operation_.get(), CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
      static_cast<std::int32_t>(library_type(bias.type)));
  if (product_.batch > 1) {
    set(operation_.get(), CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, bias.batch_stride);
  }
}

std::vector<cublasLtMatmulAlgo_t> LtCall::proposals(cublasLtHandle_t library,
                                                    std::size_t workspace_bytes, int count) const {
  cublasLtMatmulPreference_t made = nullptr;
  check(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  const LtHandle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> preference(made);
  set(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{workspace_bytes});
  // Parts of a sum meet in float32, never in the type of the result.
  set(made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(product_.b, product_.batch));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(product_.a, product_.batch));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(product_.c, product_.batch));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(product_.c, product_.batch));

  std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<std::size_t>(count));
  int number = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(library, operation_.get(), b_.get(), a_.get(), c_.get(),
                                     c_.get(), made, count, found.data(), &number);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) return {};
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  std::vector<cublasLtMatmulAlgo_t> algos;
  for (int i = 0; i < number; ++i) {
    const auto& proposal = found[static_cast<std::size_t>(i)];
    if (proposal.state == CUBLAS_STATUS_SUCCESS) algos.push_back(proposal.algo);
  }
  return algos;
}

cublasStatus_t LtCall::run(cublasLtHandle_t library, const cublasLtMatmulAlgo_t& algo,
                           const Tensor& workspace) const {
  const float zero = 0;  // what c held does not count, be it NaN
  return cublasLtMatmul(library, operation_.get(), &product_.alpha, product_.b.data, b_.get(),
                        product_.a.data, a_.get(), &zero, product_.c.data, c_.get(),
                        product_.c.data, c_.get(), &algo, workspace.raw(), workspace.bytes(),
                        cuda_stream());
}

}  // namespace weft::cuda
