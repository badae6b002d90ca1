#include "matmul.h"

#include <map>
#include <optional>

#include "check.h"
#include "epilogue.h"
#include "lt_call.h"
#include "stream.h"

namespace weft::cuda {
namespace {

constexpr std::int64_t workspace_bytes = std::int64_t{64} << 20;
constexpr int proposals = 4;  // the first that the library then also runs

// The ways to share a product between the library's call and a pass after it, best first.
std::vector<Fused> ways(const Product& p) {
  const Bias& bias = p.bias;
  const bool bias_fits = bias.data != nullptr && bias.type == p.c.type &&
                         reinterpret_cast<std::uintptr_t>(bias.data) % 16 == 0 &&
                         (p.batch == 1 || bias.batch_stride % 8 == 0);
  // The library's GELU is approximate beyond bfloat16; it comes after the bias or not at all.
  const bool act_fits = p.act == Activation::gelu_tanh && p.c.type == DType::bf16 &&
                        (bias_fits || bias.data == nullptr);
  const bool scales = p.a_scale != nullptr;
  std::vector<Fused> ways{{scales, bias_fits, act_fits}};
  if (act_fits) ways.push_back({scales, bias_fits, false});
  if (bias_fits) ways.push_back({scales, false, false});
  if (scales) ways.push_back({false, false, false});
  return ways;
}

Epilogue remaining(const Product& p, const Fused& fused) {
  Epilogue rest;
  if (!fused.scales) {
    rest.row_scale = p.a_scale;
    rest.col_scale = p.b_scale;
  }
  if (!fused.bias) rest.bias = p.bias;
  if (!fused.act) rest.act = p.act;
  return rest;
}

// Whether a following pass is certain and would find bfloat16 sums: they would be rounded before
// and after it. (e4m3 factors are far rougher than that.)
bool rounded_twice(const Product& p) {
  return p.a.type == DType::bf16 && p.c.type == DType::bf16 &&
         !remaining(p, ways(p).front()).empty();
}

}  // namespace

struct Matmul::Impl {
  // How a kind of product is computed.
  struct Plan {
    Fused fused;
    cublasLtMatmulAlgo_t algo{};
  };

  LtHandle<cublasLtHandle_t, cublasLtDestroy> library;
  Tensor workspace = Tensor::empty({workspace_bytes}, DType::u8, DeviceKind::cuda);
  std::map<Product::Key, std::optional<Plan>> plans;  // nullopt: the library cannot

  Impl() {
    cublasLtHandle_t made = nullptr;
    check(cublasLtCreate(&made), "cublasLtCreate");
    library.reset(made);
  }

  bool compute(const Product& product) {
    if (rounded_twice(product)) return compute_wide(product);
    const Product::Key key = product.key();
    auto found = plans.find(key);
    if (found == plans.end()) found = plans.emplace(key, choose(product)).first;
    const std::optional<Plan>& plan = found->second;
    if (!plan.has_value()) return false;
    check(LtCall(product, plan->fused).run(library.get(), plan->algo, workspace), "cublasLtMatmul");
    const Epilogue rest = remaining(product, plan->fused);
    if (!rest.empty()) apply_epilogue(product.c, product.c, product.batch, rest);
    return true;
  }

  // By way of float32 sums.
  bool compute_wide(const Product& product) {
    const Matrix& c = product.c;
    const Tensor sums =
        Tensor::empty({product.batch, c.rows, c.cols}, DType::f32, DeviceKind::cuda);
    Product wide = product;
    wide.c = {sums.raw(), DType::f32, c.rows, c.cols, c.cols, c.rows * c.cols};
    wide.bias = {};
    wide.act = Activation::none;
    if (!compute(wide)) return false;
    apply_epilogue(wide.c, c, product.batch, remaining(product, {}));
    return true;
  }

  // The library's heuristic decides, not a clock: every rank of a job must choose alike, or their
  // last bits differ. (Timing its first 24 proposals gained nothing on an H200.)
  std::optional<Plan> choose(const Product& product) {
    for (const Fused& fused : ways(product)) {
      const LtCall call(product, fused);
      for (const auto& algo : call.proposals(library.get(), workspace.bytes(), proposals)) {
        if (call.run(library.get(), algo, workspace) == CUBLAS_STATUS_SUCCESS) {
          return Plan{fused, algo};
        }
      }
    }
    return std::nullopt;
  }
};

Matmul::Matmul() : impl_(std::make_unique<Impl>()) {}
Matmul::~Matmul() = default;

bool Matmul::try_multiply(const Matrix& a, const Matrix& b, SecondFactor second, const Matrix& c,
                          std::int64_t batch, float alpha, const Bias& bias, Activation act) {
  const bool transposed = second == SecondFactor::transposed;
  WEFT_ASSERT(a.rows == c.rows && (transposed ? b.cols : b.rows) == a.cols &&
                  (transposed ? b.rows : b.cols) == c.cols,
              "matmul: [{}, {}] x [{}, {}]{} = [{}, {}]", a.rows, a.cols, b.rows, b.cols,
              transposed ? "^T" : "", c.rows, c.cols);
  WEFT_ASSERT(a.rows > 0 && a.cols > 0 && c.cols > 0 && batch > 0, "matmul of nothing");
  WEFT_ASSERT(a.type == b.type && (c.type == a.type || c.type == DType::f32),
              "matmul: {} x {} = {}", dtype_name(a.type), dtype_name(b.type), dtype_name(c.type));
  Product product;
  product.a = a;
  product.b = b;
  product.c = c;
  product.second = second;
  product.batch = batch;
  product.alpha = alpha;
  product.bias = bias;
  product.act = act;
  return impl_->compute(product);
}

void Matmul::multiply(const Matrix& a, const Matrix& b, SecondFactor second, const Matrix& c,
                      std::int64_t batch, float alpha, const Bias& bias, Activation act) {
  if (try_multiply(a, b, second, c, batch, alpha, bias, act)) return;
  fail("cuBLASLt has no algorithm for {} products [{}, {}] x [{}, {}] of {}", batch, a.rows, a.cols,
       b.rows, b.cols, dtype_name(a.type));
}

void Matmul::multiply_fp8(const void* a, const float* a_scale, const void* b, const float* b_scale,
                          const Matrix& c, std::int64_t k, const Bias& bias, Activation act) {
  WEFT_ASSERT(k % 16 == 0 && c.cols % 16 == 0 && c.type == DType::bf16,
              "fp8 matmul: [{}, {}] of {}", c.rows, c.cols, k);
  Product product;
  product.a = {const_cast<void*>(a), DType::u8, c.rows, k, k, 0};
  product.b = {const_cast<void*>(b), DType::u8, c.cols, k, k, 0};
  product.c = c;
  product.bias = bias;
  product.act = act;
  product.a_scale = a_scale;
  product.b_scale = b_scale;
  if (impl_->compute(product)) return;
  fail("cuBLASLt has no fp8 algorithm for [{}, {}] x [{}, {}]^T", c.rows, k, c.cols, k);
}

}  // namespace weft::cuda
