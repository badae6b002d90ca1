#pragma once
// Where a stage's time goes: every operation timed alone.

#include <functional>
#include <map>
#include <vector>

#include "op_cost.h"

namespace weft::bench {

/// All calls of one operation with the same shapes, types and options.
struct OpProfile {
  std::string name;
  std::int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;  // of all calls
};

struct StageProfile {
  std::vector<OpProfile> operations;  // the longest first
  double call_floor = 0;              // s; what a call that has next to nothing to do takes
  [[nodiscard]] OpProfile sum() const;
};

/// Hands every call on to the real operations. During profile() the device is idle before each
/// call, and the call lasts until it is idle again; otherwise nothing is added.
class ProfiledOps final : public Ops {
 public:
  explicit ProfiledOps(Ops& ops) : ops_(ops) {}
  /// `work` computes with this object. It has run before, so that nothing is prepared in here.
  StageProfile profile(const std::function<void()>& work);

  [[nodiscard]] DeviceKind device() const override;
  [[nodiscard]] DType activation() const override;
  [[nodiscard]] std::string describe() const override;
  void synchronize() override;
  [[nodiscard]] Tensor linear_input(std::int64_t rows, std::int64_t cols) const override;
  [[nodiscard]] Tensor attention_input(const Shape& tokens) const override;

  void linear(const Tensor& x, const Tensor& w, const Tensor& b, Tensor y, Activation act) override;
  void linear_group(const Tensor& x, std::span<const Tensor> w, std::span<const Tensor> b,
                    std::span<const Tensor> y) override;

  void layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias, float eps,
                  Tensor y) override;
  void residual_layer_norm(Tensor x, const Tensor& y, const TokenRows& gate,
                           const TokenRows& weight, const TokenRows& bias, float eps,
                           Tensor h) override;
  void rms_norm(const Tensor& x, const Tensor& w, float eps, Tensor y) override;
  void rms_norm_rope(const Tensor& x, const Tensor& w, float eps, const Tensor& cos,
                     const Tensor& sin, Tensor y) override;
  void gated_residual(Tensor x, const Tensor& y, const TokenRows& gate) override;
  void add(Tensor x, const Tensor& y) override;
  void silu(const Tensor& x, Tensor y) override;
  void gated_gelu(const Tensor& a, const Tensor& b, Tensor y) override;
  void attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                 Tensor out) override;
  void add_attention(const Tensor& q, const Tensor& k, const Tensor& v, float scale, Tensor out,
                     Tensor lse) override;
  void merge_attention(Tensor out, Tensor lse, const Tensor& part, const Tensor& part_lse) override;
  void patchify(const Tensor& z, Tensor y) override;
  void unpatchify(const Tensor& y, Tensor z) override;

  void combine(std::span<const Term> terms, Tensor out) override;
  [[nodiscard]] bool all_finite(const Tensor& x) override;
  void add_weighted(Tensor sum, const Tensor& v, std::span<const std::int64_t, 3> origin,
                    std::span<const float> wt, std::span<const float> wh,
                    std::span<const float> ww) override;

  void conv(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
            Tensor y) override;
  void channel_norm(const Tensor& x, const Tensor& gamma, Activation act, Tensor y) override;
  void upsample2x(const Tensor& x, Tensor y) override;
  void channels_to_frames(const Tensor& x, Tensor y) override;
  void add_dup_up(const Tensor& x, std::int64_t ft, std::int64_t drop_first, Tensor y) override;
  void add_avg_down(const Tensor& x, std::int64_t ft, Tensor y) override;
  void pixel_patchify(const Tensor& x, std::int64_t p, Tensor y) override;
  void pixel_unpatchify(const Tensor& x, std::int64_t p, Tensor y) override;
  void latents_to_video(const Tensor& z, std::span<const float> scale, std::span<const float> shift,
                        Tensor y) override;
  void video_to_latents(const Tensor& y, std::span<const float> scale, std::span<const float> shift,
                        Tensor z) override;
  void to_u8(const Tensor& x, Tensor y) override;

 private:
  /// `cost` gives the OpCost of `call`; asked only while profiling, outside the timed span.
  template <class Call, class Cost>
  void time(const Call& call, const Cost& cost);

  Ops& ops_;
  bool profiling_ = false;
  double empty_wait_ = 0;                  // s; of a synchronize() with nothing to wait for
  std::map<std::string, OpProfile> sums_;  // by name
};

}  // namespace weft::bench
