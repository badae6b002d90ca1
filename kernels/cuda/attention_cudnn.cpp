#include "attention_cudnn.h"

#include <compare>
#include <map>
#include <unordered_map>

#include <cudnn_frontend.h>

#include "weft/base/error.h"
#include "weft/base/log.h"

#include "check.h"
#include "stream.h"

namespace weft::cuda {
namespace {

namespace fe = cudnn_frontend;
using fe::graph::Graph;
using fe::graph::SDPA_attributes;
using fe::graph::Tensor_attributes;

/// Everything a plan depends on.
struct Case {
  std::int64_t queries, keys, heads, width;
  float scale;
  bool lse;      // is wanted
  bool fp8;      // else bf16
  bool padding;  // the last rows are none: a table of scalars says how many are real
  auto operator<=>(const Case&) const = default;
};

struct Plan {
  std::unique_ptr<Graph> graph;  // nullptr: cuDNN has no kernel for the case
  std::int64_t workspace = 0;    // bytes
};

// Names of a graph's tensors.
enum Id : std::int64_t { q_id = 1, k_id, v_id, out_id, lse_id, scalar_id };
std::int64_t id_of(Fp8Scalar which) { return scalar_id + static_cast<std::int64_t>(which); }

/// [n, H, d] in memory is cuDNN's [1, H, n, d].
std::vector<std::int64_t> token_dims(const Case& c, std::int64_t n) {
  return {1, c.heads, n, c.width};
}
std::vector<std::int64_t> token_strides(const Case& c, std::int64_t n) {
  return {n * c.heads * c.width, c.width, c.heads * c.width, 1};
}

std::shared_ptr<Tensor_attributes> tokens(Graph& graph, const Case& c, Id id, std::int64_t n) {
  return graph.tensor(
      Tensor_attributes().set_uid(id).set_dim(token_dims(c, n)).set_stride(token_strides(c, n)));
}

std::shared_ptr<Tensor_attributes> scalar(Graph& graph, Fp8Scalar which, fe::DataType_t type) {
  return graph.tensor(Tensor_attributes()
                          .set_uid(id_of(which))
                          .set_dim({1, 1, 1, 1})
                          .set_stride({1, 1, 1, 1})
                          .set_data_type(type));
}

void set_output(Tensor_attributes& out, const Case& c) {
  out.set_output(true)
      .set_uid(out_id)
      .set_dim(token_dims(c, c.queries))
      .set_stride(token_strides(c, c.queries));
}

SDPA_attributes options(const Case& c) {
  return SDPA_attributes()
      .set_name("attention")
      .set_attn_scale(c.scale)
      .set_generate_stats(c.lse)
      // What cuDNN's kernels for Ampere and Hopper are found by; the unified node is for newer
      // ones.
      .set_implementation(fe::AttentionImplementation_t::COMPOSITE);
}

void describe_bf16(Graph& graph, const Case& c) {
  graph.set_io_data_type(fe::DataType_t::BFLOAT16);
  const auto [out, stats] =
      graph.sdpa(tokens(graph, c, q_id, c.queries), tokens(graph, c, k_id, c.keys),
                 tokens(graph, c, v_id, c.keys), options(c));
  set_output(*out, c);
  if (c.lse) {
    stats->set_output(true)
        .set_uid(lse_id)
        .set_dim({1, c.heads, c.queries, 1})
        .set_stride({c.heads * c.queries, c.queries, 1, 1})
        .set_data_type(fe::DataType_t::FLOAT);
  }
}

void describe_fp8(Graph& graph, const Case& c) {
  graph.set_io_data_type(fe::DataType_t::FP8_E4M3);
  const auto factor = [&](Fp8Scalar which) { return scalar(graph, which, fe::DataType_t::FLOAT); };
  SDPA_attributes with = options(c);
  if (c.padding) {
    const auto length = scalar(graph, Fp8Scalar::tokens, fe::DataType_t::INT32);
    with.set_padding_mask(true).set_seq_len_q(length).set_seq_len_kv(length);
  }
  const auto [out, stats, amax_weights, amax_out] = graph.sdpa_fp8(
      tokens(graph, c, q_id, c.queries), tokens(graph, c, k_id, c.keys),
      tokens(graph, c, v_id, c.keys), factor(Fp8Scalar::descale_q), factor(Fp8Scalar::descale_k),
      factor(Fp8Scalar::descale_v), factor(Fp8Scalar::descale_weights),
      factor(Fp8Scalar::scale_weights), factor(Fp8Scalar::scale_out), with);
  set_output(*out, c);
  for (const auto& [amax, which] : {std::pair{amax_weights, Fp8Scalar::amax_weights},
                                    std::pair{amax_out, Fp8Scalar::amax_out}}) {
    amax->set_output(true)
        .set_uid(id_of(which))
        .set_dim({1, 1, 1, 1})
        .set_stride({1, 1, 1, 1})
        .set_data_type(fe::DataType_t::FLOAT);
  }
}

Case fp8_case(const Shape& q, float scale) {
  const std::int64_t padded = whole_tiles(q[0]);  // its fp8 kernels take no others
  return {padded, padded, q[1], q[2], scale, false, true, padded != q[0]};
}

Plan build(cudnnHandle_t handle, const Case& c) {
  auto graph = std::make_unique<Graph>();
  graph->set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  c.fp8 ? describe_fp8(*graph, c) : describe_bf16(*graph, c);
  fe::error_t status = graph->build(handle, {fe::HeurMode_t::A});
  if (status.is_bad()) {
    log_info("cuDNN has no {} attention for {} queries, {} keys, {} heads of {}: {}",
             c.fp8 ? "fp8" : "bf16", c.queries, c.keys, c.heads, c.width, status.get_message());
    return {};
  }
  Plan plan{std::move(graph)};
  plan.workspace = plan.graph->get_workspace_size();
  return plan;
}

}  // namespace

struct CudnnAttention::Impl {
  cudnnHandle_t handle = nullptr;
  std::map<Case, Plan> plans;

  using Pointers = std::unordered_map<std::int64_t, void*>;
  const Plan& plan_of(const Case& c) {
    if (handle == nullptr) {
      check(cudnnCreate(&handle), "cudnnCreate");
      check(cudnnSetStream(handle, cuda_stream()), "cudnnSetStream");
    }
    auto found = plans.find(c);
    if (found == plans.end()) found = plans.emplace(c, build(handle, c)).first;
    return found->second;
  }

  bool run(const Case& c, Pointers pointers) {
    const Plan& plan = plan_of(c);
    if (plan.graph == nullptr) return false;
    const Tensor workspace = Tensor::empty({plan.workspace}, DType::u8, DeviceKind::cuda);
    fe::error_t status = plan.graph->execute(handle, pointers, workspace.raw());
    if (status.is_bad()) fail("cuDNN attention: {}", status.get_message());
    return true;
  }
};

CudnnAttention::CudnnAttention() : impl_(std::make_unique<Impl>()) {}
CudnnAttention::~CudnnAttention() {
  if (impl_->handle != nullptr) static_cast<void>(cudnnDestroy(impl_->handle));
}

bool CudnnAttention::run(const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                         const Tensor& lse, const Tensor& out) {
  const Case c{q.dim(0), k.dim(0), q.dim(1), q.dim(2), scale, lse.defined(), false, false};
  Impl::Pointers pointers{{q_id, q.raw()}, {k_id, k.raw()}, {v_id, v.raw()}, {out_id, out.raw()}};
  if (lse.defined()) pointers.emplace(lse_id, lse.raw());
  return impl_->run(c, std::move(pointers));
}

bool CudnnAttention::has_fp8(const Shape& q, float scale) {
  return impl_->plan_of(fp8_case(q, scale)).graph != nullptr;
}

void CudnnAttention::run(const Fp8Operands& x, float scale, const Tensor& out) {
  const Case c = fp8_case(x.q.shape(), scale);
  Impl::Pointers pointers{
      {q_id, x.q.raw()}, {k_id, x.k.raw()}, {v_id, x.v.raw()}, {out_id, out.raw()}};
  for (int s = 0; s <= static_cast<int>(Fp8Scalar::tokens); ++s) {
    const auto which = static_cast<Fp8Scalar>(s);
    if (which == Fp8Scalar::tokens && !c.padding) continue;
    pointers.emplace(id_of(which), x.scalar(which));
  }
  WEFT_ASSERT(impl_->run(c, std::move(pointers)), "fp8 attention was not asked for before");
}

}  // namespace weft::cuda
