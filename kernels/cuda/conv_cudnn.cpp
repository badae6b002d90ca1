#include "conv_cudnn.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <vector>

#include <cudnn_frontend.h>

#include "check.h"
#include "conv_epilogue.h"
#include "stream.h"

namespace weft::cuda {
namespace {

namespace fe = cudnn_frontend;
using Dims = std::vector<std::int64_t>;
using Node = std::shared_ptr<fe::graph::Tensor_attributes>;

enum Id : std::int64_t { id_x = 1, id_w, id_bias, id_residual, id_y };

fe::DataType_t cudnn_type(DType type) {
  return type == DType::bf16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::FLOAT;
}

/// A convolution as cuDNN sees it: tensors [N, C, spatial...] in memory order N, spatial..., C.
struct Problem {
  Dims x, w, y;                        // dimensions
  Dims stride, pad_before, pad_after;  // spatial
};

/// As few spatial dimensions as will do: cuDNN has more and better kernels for two than for three.
Problem problem_of(const ConvShape& s, const ConvArgs& a) {
  const std::int64_t C = s.channels;
  const std::int64_t O = s.outputs;
  if (s.kt == 1 && a.stride_t == 1) {  // each frame by itself
    return {{s.frames, C, s.height, s.width},
            {O, C, s.kh, s.kw},
            {s.frames, O, s.out_height, s.out_width},
            {a.stride_h, a.stride_w},
            {a.pad_top, a.pad_left},
            {a.pad_bottom, a.pad_right}};
  }
  const bool in_time_only = s.kh == 1 && s.kw == 1 && s.out_height == s.height &&
                            s.out_width == s.width && a.stride_h == 1 && a.stride_w == 1;
  if (in_time_only) {  // time by pixels
    const std::int64_t pixels = s.height * s.width;
    return {{1, C, s.frames, pixels}, {O, C, s.kt, 1}, {1, O, s.out_frames, pixels},
            {a.stride_t, 1},          {0, 0},          {0, 0}};
  }
  return {{1, C, s.frames, s.height, s.width},
          {O, C, s.kt, s.kh, s.kw},
          {1, O, s.out_frames, s.out_height, s.out_width},
          {a.stride_t, a.stride_h, a.stride_w},
          {0, a.pad_top, a.pad_left},
          {0, a.pad_bottom, a.pad_right}};
}

Dims channels_last_strides(const Dims& dims) {
  Dims strides(dims.size());
  strides[1] = 1;
  std::int64_t step = dims[1];
  for (std::size_t i = dims.size() - 1; i >= 2; --i) {
    strides[i] = step;
    step *= dims[i];
  }
  strides[0] = step;
  return strides;
}

auto tensor(Id id, const Dims& dims, DType type) {
  return fe::graph::Tensor_attributes()
      .set_uid(id)
      .set_dim(dims)
      .set_stride(channels_last_strides(dims))
      .set_data_type(cudnn_type(type));
}

struct Types {
  DType y, bias;
};
enum class Fused { nothing, bias, bias_and_residual };

/// A graph ready to run, or nullptr when cuDNN has no kernel for it.
std::unique_ptr<fe::graph::Graph> build(cudnnHandle_t handle, const Problem& p, const Types& types,
                                        Fused fused) {
  auto graph = std::make_unique<fe::graph::Graph>();
  graph->set_io_data_type(fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  const auto plus = [&](const Node& a, const Node& b) {
    return graph->pointwise(a, b,
                            fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
  };
  Node result = graph->conv_fprop(graph->tensor(tensor(id_x, p.x, DType::bf16)),
                                  graph->tensor(tensor(id_w, p.w, DType::bf16)),
                                  fe::graph::Conv_fprop_attributes()
                                      .set_pre_padding(p.pad_before)
                                      .set_post_padding(p.pad_after)
                                      .set_stride(p.stride)
                                      .set_dilation(Dims(p.stride.size(), 1)));
  if (fused != Fused::nothing) {
    Dims one_row(p.y.size(), 1);
    one_row[1] = p.y[1];
    result = plus(result, graph->tensor(tensor(id_bias, one_row, types.bias)));
  }
  if (fused == Fused::bias_and_residual) {
    result = plus(result, graph->tensor(tensor(id_residual, p.y, types.y)));
  }
  result->set_output(true)
      .set_uid(id_y)
      .set_dim(p.y)
      .set_stride(channels_last_strides(p.y))
      .set_data_type(cudnn_type(types.y));

  if (graph->validate().is_bad() || graph->build_operation_graph(handle).is_bad()) return nullptr;
  if (graph->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}).is_bad()) {
    return nullptr;
  }
  // Sums in an order that changes from run to run, or less exact than the products': neither.
  graph->deselect_numeric_notes(
      {fe::NumericalNote_t::NONDETERMINISTIC, fe::NumericalNote_t::WINOGRAD});
  if (graph->check_support().is_bad() || graph->build_plans().is_bad()) return nullptr;
  return graph;
}

/// What was found for a shape; no graph: cuDNN refused it.
struct Plan {
  std::unique_ptr<fe::graph::Graph> graph;
  Fused fused = Fused::nothing;
  std::int64_t workspace = 0;
};

Plan make_plan(cudnnHandle_t handle, const Problem& p, const Types& types, bool residual) {
  Plan plan;
  plan.fused = residual ? Fused::bias_and_residual : Fused::bias;
  plan.graph = build(handle, p, types, plan.fused);
  if (plan.graph == nullptr) {
    plan.fused = Fused::nothing;
    plan.graph = build(handle, p, types, plan.fused);
  }
  if (plan.graph != nullptr && plan.graph->get_workspace_size(plan.workspace).is_bad()) plan = {};
  return plan;
}

Dims key_of(const Problem& p, const Types& types, bool residual) {
  Dims key{static_cast<std::int64_t>(types.y), static_cast<std::int64_t>(types.bias),
           residual ? 1 : 0};
  for (const Dims* part : {&p.x, &p.w, &p.stride, &p.pad_before, &p.pad_after}) {
    key.insert(key.end(), part->begin(), part->end());
  }
  return key;
}

// cuDNN's kernels index a tensor with 32 bits and read it 16 bytes at a time.
bool fits(const Tensor& t) { return !t.defined() || (t.numel() <= INT32_MAX && is_aligned(t, 16)); }

}  // namespace

struct CudnnConv::Impl {
  cudnnHandle_t handle = nullptr;
  std::map<Dims, Plan> plans;

  Impl() {
    check(cudnnCreate(&handle), "cudnnCreate");
    check(cudnnSetStream(handle, cuda_stream()), "cudnnSetStream");
  }
  ~Impl() { static_cast<void>(cudnnDestroy(handle)); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const Plan& plan_for(const Problem& p, const Types& types, bool residual) {
    const auto [it, is_new] = plans.try_emplace(key_of(p, types, residual));
    if (is_new) it->second = make_plan(handle, p, types, residual);
    return it->second;
  }
};

CudnnConv::CudnnConv() = default;
CudnnConv::~CudnnConv() = default;

bool CudnnConv::run(const Tensor& x, const Tensor& packed, const Tensor& b, const ConvShape& s,
                    const ConvArgs& args, const Tensor& y) {
  const bool good_types = x.dtype() == DType::bf16 && packed.dtype() == DType::bf16;
  if (!good_types || s.channels % 8 != 0 || s.outputs % 8 != 0) return false;
  if (!fits(x) || !fits(packed) || !fits(b) || !fits(y) || !fits(args.residual)) return false;

  if (impl_ == nullptr) impl_ = std::make_unique<Impl>();
  const Plan& plan =
      impl_->plan_for(problem_of(s, args), {y.dtype(), b.dtype()}, args.residual.defined());
  if (plan.graph == nullptr) return false;
  std::unordered_map<std::int64_t, void*> tensors{
      {id_x, x.raw()}, {id_w, packed.raw()}, {id_y, y.raw()}};
  if (plan.fused != Fused::nothing) tensors[id_bias] = b.raw();
  if (plan.fused == Fused::bias_and_residual) tensors[id_residual] = args.residual.raw();
  const Tensor workspace =
      Tensor::empty({std::max(plan.workspace, std::int64_t{1})}, DType::u8, DeviceKind::cuda);
  auto status = plan.graph->execute(impl_->handle, tensors, workspace.raw());
  if (status.is_bad()) {
    fail("cuDNN convolution of {} by {}: {}", x.shape().str(), packed.shape().str(),
         status.get_message());
  }
  if (plan.fused == Fused::nothing) add_bias_and_residual(y, b, args.residual);
  return true;
}

}  // namespace weft::cuda
