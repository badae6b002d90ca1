#include "profiled_ops.h"

#include <algorithm>

#include "weft/base/stages.h"

#include "measure.h"

namespace weft::bench {
namespace {

/// An operation that reads and writes tensors of one shape.
std::string named(const char* operation, const Tensor& x, const std::string& suffix) {
  return fmt::format("{} {}{}", operation, x.shape().str(), suffix);
}

/// An operation that moves values to another shape, with what it reads and writes.
OpCost move_cost(const char* operation, const Tensor& from, const Tensor& to) {
  return {fmt::format("{} {} -> {}{}", operation, from.shape().str(), to.shape().str(),
                      types_suffix({from, to})),
          0, bytes_of(from, to)};
}

/// As move_cost(), where the result is added to what is there.
OpCost add_cost(const char* operation, const Tensor& from, const Tensor& to) {
  OpCost cost = move_cost(operation, from, to);
  cost.bytes += bytes_of(to);
  return cost;
}

double measure_call_floor(Ops& ops) {
  const Tensor x = Tensor::zeros({8}, ops.activation(), ops.device());
  const Tensor y = Tensor::zeros({8}, ops.activation(), ops.device());
  return measure(ops, 20, 201, [&] { ops.add(x, y); }).median;
}

}  // namespace

OpProfile StageProfile::sum() const {
  OpProfile sum{"sum", 0, 0, 0, 0};
  for (const OpProfile& p : operations) {
    sum.calls += p.calls;
    sum.seconds += p.seconds;
    sum.flops += p.flops;
    sum.bytes += p.bytes;
  }
  return sum;
}

StageProfile ProfiledOps::profile(const std::function<void()>& work) {
  empty_wait_ = measure(ops_, 20, 201, [] {}).median;
  StageProfile result;
  result.call_floor = std::max(0.0, measure_call_floor(ops_) - empty_wait_);
  sums_.clear();
  profiling_ = true;
  work();
  profiling_ = false;
  for (auto& [name, sum] : sums_) {
    sum.name = name;
    result.operations.push_back(sum);
  }
  std::stable_sort(result.operations.begin(), result.operations.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return result;
}

template <class Call, class Cost>
void ProfiledOps::time(const Call& call, const Cost& cost) {
  if (!profiling_) {
    call();
    return;
  }
  ops_.synchronize();
  const double start = now_seconds();
  call();
  ops_.synchronize();
  const double seconds = now_seconds() - start - empty_wait_;
  const OpCost c = cost();
  OpProfile& sum = sums_[c.name];
  sum.calls += 1;
  sum.seconds += std::max(0.0, seconds);
  sum.flops += c.flops;
  sum.bytes += c.bytes;
}

DeviceKind ProfiledOps::device() const { return ops_.device(); }
DType ProfiledOps::activation() const { return ops_.activation(); }
std::string ProfiledOps::describe() const { return ops_.describe(); }
void ProfiledOps::synchronize() { ops_.synchronize(); }
Tensor ProfiledOps::linear_input(std::int64_t rows, std::int64_t cols) const {
  return ops_.linear_input(rows, cols);
}
Tensor ProfiledOps::attention_input(const Shape& tokens) const {
  return ops_.attention_input(tokens);
}

void ProfiledOps::linear(const Tensor& x, const Tensor& w, const Tensor& b, Tensor y,
                         Activation act) {
  time([&] { ops_.linear(x, w, b, y, act); },
       [&] {
         return linear_cost(x, {&w, 1}, {&b, 1}, {&y, 1}, act);
       });
}

void ProfiledOps::linear_group(const Tensor& x, std::span<const Tensor> w,
                               std::span<const Tensor> b, std::span<const Tensor> y) {
  time([&] { ops_.linear_group(x, w, b, y); },
       [&] { return linear_cost(x, w, b, y, Activation::none); });
}

void ProfiledOps::layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias,
                             float eps, Tensor y) {
  time([&] { ops_.layer_norm(x, weight, bias, eps, y); },
       [&] {
         return OpCost{named("layer_norm", x, types_suffix({x, y})), 0,
                       bytes_of(x, weight, bias, y)};
       });
}

void ProfiledOps::residual_layer_norm(Tensor x, const Tensor& y, const TokenRows& gate,
                                      const TokenRows& weight, const TokenRows& bias, float eps,
                                      Tensor h) {
  time([&] { ops_.residual_layer_norm(x, y, gate, weight, bias, eps, h); },
       [&] {
         const char* gated = gate.rows.defined() ? ", gated" : "";
         return OpCost{named("residual_layer_norm", x, gated + types_suffix({x, y, h})), 0,
                       bytes_of(x, x, y, gate, weight, bias, h)};
       });
}

void ProfiledOps::rms_norm(const Tensor& x, const Tensor& w, float eps, Tensor y) {
  time([&] { ops_.rms_norm(x, w, eps, y); },
       [&] {
         return OpCost{named("rms_norm", x, types_suffix({x, y})), 0, bytes_of(x, w, y)};
       });
}

void ProfiledOps::rms_norm_rope(const Tensor& x, const Tensor& w, float eps, const Tensor& cos,
                                const Tensor& sin, Tensor y) {
  time([&] { ops_.rms_norm_rope(x, w, eps, cos, sin, y); },
       [&] {
         return OpCost{named("rms_norm_rope", x, types_suffix({x, y})), 0,
                       bytes_of(x, w, cos, sin, y)};
       });
}

void ProfiledOps::gated_residual(Tensor x, const Tensor& y, const TokenRows& gate) {
  time(
      [&] { ops_.gated_residual(x, y, gate); },
      [&] {
        return OpCost{named("gated_residual", x, types_suffix({x, y})), 0, bytes_of(x, x, y, gate)};
      });
}

void ProfiledOps::add(Tensor x, const Tensor& y) {
  time([&] { ops_.add(x, y); },
       [&] {
         return OpCost{named("add", x, types_suffix({x, y})), 0, bytes_of(x, x, y)};
       });
}

void ProfiledOps::silu(const Tensor& x, Tensor y) {
  time([&] { ops_.silu(x, y); },
       [&] {
         return OpCost{named("silu", x, types_suffix({x, y})), 0, bytes_of(x, y)};
       });
}

void ProfiledOps::gated_gelu(const Tensor& a, const Tensor& b, Tensor y) {
  time([&] { ops_.gated_gelu(a, b, y); },
       [&] {
         return OpCost{named("gated_gelu", a, types_suffix({a, b, y})), 0, bytes_of(a, b, y)};
       });
}

void ProfiledOps::attention(const Tensor& q, const Tensor& k, const Tensor& v,
                            const AttentionArgs& args, Tensor out) {
  time([&] { ops_.attention(q, k, v, args, out); },
       [&] { return attention_cost(q, k, v, args, out); });
}

void ProfiledOps::add_attention(const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                                Tensor out, Tensor lse) {
  time([&] { ops_.add_attention(q, k, v, scale, out, lse); },
       [&] { return attention_cost(q, k, v, {.scale = scale, .lse = lse}, out); });
}

void ProfiledOps::merge_attention(Tensor out, Tensor lse, const Tensor& part,
                                  const Tensor& part_lse) {
  time([&] { ops_.merge_attention(out, lse, part, part_lse); },
       [&] {
         return OpCost{named("merge_attention", out, types_suffix({out, part})), 0,
                       bytes_of(out, out, lse, lse, part, part_lse)};
       });
}

void ProfiledOps::patchify(const Tensor& z, Tensor y) {
  time([&] { ops_.patchify(z, y); }, [&] { return move_cost("patchify", z, y); });
}

void ProfiledOps::unpatchify(const Tensor& y, Tensor z) {
  time([&] { ops_.unpatchify(y, z); }, [&] { return move_cost("unpatchify", y, z); });
}

void ProfiledOps::combine(std::span<const Term> terms, Tensor out) {
  time([&] { ops_.combine(terms, out); },
       [&] {
         OpCost cost{named("combine", out, fmt::format(", {} terms", terms.size())), 0,
                     bytes_of(out)};
         for (const Term& t : terms) cost.bytes += bytes_of(t.x);
         return cost;
       });
}

bool ProfiledOps::all_finite(const Tensor& x) {
  bool finite = false;
  time([&] { finite = ops_.all_finite(x); },
       [&] {
         return OpCost{named("all_finite", x, types_suffix({x})), 0, bytes_of(x)};
       });
  return finite;
}

void ProfiledOps::add_weighted(Tensor sum, const Tensor& v, std::span<const std::int64_t, 3> origin,
                               std::span<const float> wt, std::span<const float> wh,
                               std::span<const float> ww) {
  time([&] { ops_.add_weighted(sum, v, origin, wt, wh, ww); },
       [&] {
         // The box of `sum` is as large as v.
         return OpCost{named("add_weighted", v, types_suffix({v})), 0, bytes_of(v, v, v)};
       });
}

void ProfiledOps::conv(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                       Tensor y) {
  time([&] { ops_.conv(x, w, b, args, y); }, [&] { return conv_cost(x, w, b, args, y); });
}

void ProfiledOps::channel_norm(const Tensor& x, const Tensor& gamma, Activation act, Tensor y) {
  time([&] { ops_.channel_norm(x, gamma, act, y); },
       [&] {
         return OpCost{named("channel_norm", x, activation_suffix(act) + types_suffix({x, y})), 0,
                       bytes_of(x, gamma, y)};
       });
}

void ProfiledOps::upsample2x(const Tensor& x, Tensor y) {
  time([&] { ops_.upsample2x(x, y); }, [&] { return move_cost("upsample2x", x, y); });
}

void ProfiledOps::channels_to_frames(const Tensor& x, Tensor y) {
  time([&] { ops_.channels_to_frames(x, y); },
       [&] { return move_cost("channels_to_frames", x, y); });
}

void ProfiledOps::add_dup_up(const Tensor& x, std::int64_t ft, std::int64_t drop_first, Tensor y) {
  time([&] { ops_.add_dup_up(x, ft, drop_first, y); },
       [&] { return add_cost("add_dup_up", x, y); });
}

void ProfiledOps::add_avg_down(const Tensor& x, std::int64_t ft, Tensor y) {
  time([&] { ops_.add_avg_down(x, ft, y); }, [&] { return add_cost("add_avg_down", x, y); });
}

void ProfiledOps::pixel_patchify(const Tensor& x, std::int64_t p, Tensor y) {
  time([&] { ops_.pixel_patchify(x, p, y); }, [&] { return move_cost("pixel_patchify", x, y); });
}

void ProfiledOps::pixel_unpatchify(const Tensor& x, std::int64_t p, Tensor y) {
  time([&] { ops_.pixel_unpatchify(x, p, y); },
       [&] { return move_cost("pixel_unpatchify", x, y); });
}

void ProfiledOps::latents_to_video(const Tensor& z, std::span<const float> scale,
                                   std::span<const float> shift, Tensor y) {
  time([&] { ops_.latents_to_video(z, scale, shift, y); },
       [&] { return move_cost("latents_to_video", z, y); });
}

void ProfiledOps::video_to_latents(const Tensor& y, std::span<const float> scale,
                                   std::span<const float> shift, Tensor z) {
  time([&] { ops_.video_to_latents(y, scale, shift, z); },
       [&] { return move_cost("video_to_latents", y, z); });
}

void ProfiledOps::to_u8(const Tensor& x, Tensor y) {
  time([&] { ops_.to_u8(x, y); }, [&] { return move_cost("to_u8", x, y); });
}

}  // namespace weft::bench
