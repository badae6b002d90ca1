#pragma once
// The CUDA implementation of Ops. Each operation lives in the file of its group; all work is asked
// for on cuda_stream() and nothing waits unless it says so.

#include <memory>

#include "weft/ops/ops.h"

#include "check.h"
#include "stream.h"

namespace weft::cuda {

class Matmul;     // matmul.h: cuBLASLt
class Attention;  // attention.h: cuDNN and what it cannot do
class Conv;       // conv.h

class CudaOps final : public Ops {
 public:
  CudaOps(int device_index, Precision precision);
  ~CudaOps() override;

  [[nodiscard]] DeviceKind device() const override { return DeviceKind::cuda; }
  [[nodiscard]] DType activation() const override {
    return precision_ == Precision::f32 ? DType::f32 : DType::bf16;
  }
  [[nodiscard]] std::string describe() const override;  // "NVIDIA H200, bf16, cuDNN 9.19"
  void synchronize() override;

  // dense.cpp
  void linear(const Tensor& x, const Tensor& w, const Tensor& b, Tensor y, Activation act) override;
  void linear_group(const Tensor& x, std::span<const Tensor> w, std::span<const Tensor> b,
                    std::span<const Tensor> y) override;
  // norm.cu, rms_norm.cu
  [[nodiscard]] Tensor linear_input(std::int64_t rows, std::int64_t cols) const override;
  void layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias, float eps,
                  Tensor y) override;
  void residual_layer_norm(Tensor x, const Tensor& y, const TokenRows& gate,
                           const TokenRows& weight, const TokenRows& bias, float eps,
                           Tensor h) override;
  [[nodiscard]] Tensor attention_input(const Shape& tokens) const override;
  void rms_norm(const Tensor& x, const Tensor& w, float eps, Tensor y) override;
  void rms_norm_rope(const Tensor& x, const Tensor& w, float eps, const Tensor& cos,
                     const Tensor& sin, Tensor y) override;
  void gated_residual(Tensor x, const Tensor& y, const TokenRows& gate) override;
  void channel_norm(const Tensor& x, const Tensor& gamma, Activation act, Tensor y) override;
  // elementwise.cu
  void add(Tensor x, const Tensor& y) override;
  void silu(const Tensor& x, Tensor y) override;
  void gated_gelu(const Tensor& a, const Tensor& b, Tensor y) override;
  void combine(std::span<const Term> terms, Tensor out) override;
  bool all_finite(const Tensor& x) override;
  void to_u8(const Tensor& x, Tensor y) override;
  // attention.cpp
  void attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                 Tensor out) override;
  void add_attention(const Tensor& q, const Tensor& k, const Tensor& v, float scale, Tensor out,
                     Tensor lse) override;
  std::unique_ptr<BlockAttention> block_attention(const Tensor& q, float scale, std::int64_t fewest,
                                                  Tensor out) override;
  // merge_attention.cu
  void merge_attention(Tensor out, Tensor lse, const Tensor& part, const Tensor& part_lse) override;
  // latents.cu
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
  // video.cu
  void upsample2x(const Tensor& x, Tensor y) override;
  void channels_to_frames(const Tensor& x, Tensor y) override;
  void add_dup_up(const Tensor& x, std::int64_t ft, std::int64_t drop_first, Tensor y) override;
  void add_avg_down(const Tensor& x, std::int64_t ft, Tensor y) override;
  void pixel_patchify(const Tensor& x, std::int64_t p, Tensor y) override;
  void pixel_unpatchify(const Tensor& x, std::int64_t p, Tensor y) override;

 private:
  Precision precision_;
  std::unique_ptr<Matmul> matmul_;
  std::unique_ptr<Attention> attention_;
  std::unique_ptr<Conv> conv_;
};

}  // namespace weft::cuda
