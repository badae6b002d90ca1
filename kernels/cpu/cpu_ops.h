#pragma once
// The CPU implementation of Ops. Each operation lives in the file of its group; every one splits
// its work into pieces fixed by the shapes, so results do not depend on the number of threads.

#include "weft/ops/ops.h"

namespace weft::cpu {

class CpuOps final : public Ops {
 public:
  explicit CpuOps(int threads) : threads_(threads) {}

  [[nodiscard]] DeviceKind device() const override { return DeviceKind::cpu; }
  [[nodiscard]] DType activation() const override { return DType::f32; }
  [[nodiscard]] std::string describe() const override;
  void synchronize() override {}

  // dense.cpp
  void linear(const Tensor& x, const Tensor& w, const Tensor& b, Tensor y, Activation act) override;
  // norm.cpp
  void layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias, float eps,
                  Tensor y) override;
  void rms_norm(const Tensor& x, const Tensor& w, float eps, Tensor y) override;
  void rms_norm_rope(const Tensor& x, const Tensor& w, float eps, const Tensor& cos,
                     const Tensor& sin, Tensor y) override;
  void channel_norm(const Tensor& x, const Tensor& gamma, Activation act, Tensor y) override;
  // elementwise.cpp
  void gated_residual(Tensor x, const Tensor& y, const TokenRows& gate) override;
  void add(Tensor x, const Tensor& y) override;
  void silu(const Tensor& x, Tensor y) override;
  void gated_gelu(const Tensor& a, const Tensor& b, Tensor y) override;
  void combine(std::span<const Term> terms, Tensor out) override;
  bool all_finite(const Tensor& x) override;
  void to_u8(const Tensor& x, Tensor y) override;
  // attention.cpp
  void attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                 Tensor out) override;
  // merge_attention.cpp
  void merge_attention(Tensor out, Tensor lse, const Tensor& part, const Tensor& part_lse) override;
  // latents.cpp
  void patchify(const Tensor& z, Tensor y) override;
  void unpatchify(const Tensor& y, Tensor z) override;
  void add_weighted(Tensor sum, const Tensor& v, std::span<const std::int64_t, 3> origin,
                    std::span<const float> wt, std::span<const float> wh,
                    std::span<const float> ww) override;
  void latents_to_video(const Tensor& z, std::span<const float> scale, std::span<const float> shift,
                        Tensor y) override;
  void video_to_latents(const Tensor& y, std::span<const float> scale, std::span<const float> shift,
                        Tensor z) override;
  // conv.cpp
  void conv(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
            Tensor y) override;
  // video.cpp
  void upsample2x(const Tensor& x, Tensor y) override;
  void channels_to_frames(const Tensor& x, Tensor y) override;
  void add_dup_up(const Tensor& x, std::int64_t ft, std::int64_t drop_first, Tensor y) override;
  void add_avg_down(const Tensor& x, std::int64_t ft, Tensor y) override;
  void pixel_patchify(const Tensor& x, std::int64_t p, Tensor y) override;
  void pixel_unpatchify(const Tensor& x, std::int64_t p, Tensor y) override;

 private:
  int threads_;
};

}  // namespace weft::cpu
