#include "matmul.h"

#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <string_view>

#include "check.h"
#include "epilogue.h"
#include "lt_call.h"
#include "stream.h"

namespace weft::cuda {
namespace {

constexpr std::int64_t workspace_bytes = std::int64_t{64} << 20;
// A product this large runs for tens of microseconds and more: worth finding its best algorithm.
constexpr double large_flops = 20e9;
constexpr int proposals_when_large = 8;
constexpr int proposals_otherwise = 4;  // the first that the library then also runs
constexpr int timed_runs = 3;

bool tuning_wanted() {
  const char* value = std::getenv("WEFT_TUNE");
  return value == nullptr || std::string_view(value) != "0";
}

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

// Milliseconds between two points of the stream.
class Stopwatch {
 public:
  Stopwatch() : begin_(make()), end_(make()) {}
  void start() { record(begin_); }
  float stop() {
    record(end_);
    check(cudaEventSynchronize(end_.get()), "waiting for a timed matmul");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin_.get(), end_.get()), "cudaEventElapsedTime");
    return ms;
  }

 private:
  using Event = LtHandle<cudaEvent_t, cudaEventDestroy>;
  static Event make() {
    cudaEvent_t made = nullptr;
    check(cudaEventCreate(&made), "cudaEventCreate");
    return Event(made);
  }
  static void record(const Event& event) {
    check(cudaEventRecord(event.get(), cuda_stream()), "cudaEventRecord");
  }
  Event begin_, end_;
};

}  // namespace

struct Matmul::Impl {
  // How a kind of product is computed.
  struct Plan {
    Fused fused;
    cublasLtMatmulAlgo_t algo{};
  };

  LtHandle<cublasLtHandle_t, cublasLtDestroy> library;
  Tensor workspace = Tensor::empty({workspace_bytes}, DType::u8, DeviceKind::cuda);
  bool tune = tuning_wanted();
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

  // Tries proposals on the operands themselves: each run writes the product's result to c.
  std::optional<Plan> choose(const Product& product) {
    const bool timed = tune && product.flops() > large_flops;
    const int count = timed ? proposals_when_large : proposals_otherwise;
    for (const Fused& fused : ways(product)) {
      const LtCall call(product, fused);
      std::optional<Plan> best;
      float best_ms = std::numeric_limits<float>::infinity();
      for (const auto& algo : call.proposals(library.get(), workspace.bytes(), count)) {
        if (call.run(library.get(), algo, workspace) != CUBLAS_STATUS_SUCCESS) continue;
        if (!timed) return Plan{fused, algo};
        const float ms = time(call, algo);
        if (ms < best_ms) {
          best = Plan{fused, algo};
          best_ms = ms;
        }
      }
      if (best.has_value()) return best;
    }
    return std::nullopt;
  }

  float time(const LtCall& call, const cublasLtMatmulAlgo_t& algo) {
    Stopwatch watch;
    watch.start();
    for (int i = 0; i < timed_runs; ++i) {
      check(call.run(library.get(), algo, workspace), "cublasLtMatmul");
    }
    return watch.stop();
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
