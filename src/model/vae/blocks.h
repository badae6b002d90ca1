#pragma once
// The autoencoder's parts (spec 6.1). All activations are channels-last [frames, rows, cols, C], of
// type Ops::activation() unless said otherwise; a part takes a chunk of its input stream and
// returns the same chunk of its output stream.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "weft/model/vae.h"

namespace weft::vae {

/// What one chunk carries through all layers.
struct Chunk {
  Ops& ops;
  CausalHistory& history;
  ChunkPosition position;
};

/// A layer that needs the two input frames before its chunk.
struct HistoryLayer {
  std::int64_t channels;
  std::int64_t magnification;  // rows (and columns) per latent row
  bool skips_first;
};

/// Builds parts from weights and numbers their history layers; parts must be made in visiting
/// order.
class Builder {
 public:
  Builder(WeightSource& weights, std::int64_t magnification)
      : weights_(weights), magnification_(magnification) {}

  Tensor weight(const std::string& name, const Shape& shape) { return weights_.take(name, shape); }
  /// A norm's factors, stored as [C, 1, ...], as [C].
  Tensor gamma(const std::string& name, const Shape& stored);
  int add_history(std::int64_t channels, bool skips_first = false);
  void enlarge() { magnification_ *= 2; }
  void shrink() { magnification_ /= 2; }
  [[nodiscard]] const std::vector<HistoryLayer>& layers() const { return layers_; }

 private:
  WeightSource& weights_;
  std::int64_t magnification_;
  std::vector<HistoryLayer> layers_;
};

/// Space for a layer's input with the two frames before it: fill frames(), then ask for all of it.
class CausalInput {
 public:
  /// For a chunk of `frames` frames x rows x cols x C, of type `type`.
  CausalInput(const Chunk& chunk, int layer, const Shape& frames, DType type);
  [[nodiscard]] Tensor frames() const { return buffer_.slice(2, buffer_.dim(0)); }
  /// [2 + frames, H, W, C]. Hands this chunk's last frames on at once: another rank waits for them.
  Tensor with_history();

 private:
  const Chunk& chunk_;
  int layer_;
  Tensor buffer_;
};

/// A convolution with bias over [kt, k, k]; `weight` [O, C, kt, k, k] or [O, C, k, k].
class Conv {
 public:
  Conv(Builder& builder, const std::string& name, const Shape& weight_shape);
  [[nodiscard]] Shape output_shape(const Shape& x, const ConvArgs& args) const;
  /// The result is of type `type`.
  Tensor operator()(Ops& ops, const Tensor& x, const ConvArgs& args, DType type) const;
  void write(Ops& ops, const Tensor& x, const ConvArgs& args, Tensor y) const;

 private:
  Shape shape_;
  Tensor weight_, bias_;
};

/// 3 x 3 x 3, causal in time.
class CausalConv {
 public:
  CausalConv(Builder& builder, const std::string& name, std::int64_t in, std::int64_t out);
  /// x an activation or float32.
  Tensor operator()(const Chunk& chunk, const Tensor& x) const;
  /// conv(silu(norm(x))) + residual (when there is one), of type `type`; the norm is written
  /// straight into the convolution's input, and an x that is moved here is freed before the
  /// convolution.
  Tensor of_norm(const Chunk& chunk, Tensor x, const Tensor& gamma, const Tensor& residual,
                 DType type) const;

 private:
  Conv conv_;
  int layer_;
};

class ResBlock {
 public:
  ResBlock(Builder& builder, const std::string& name, std::int64_t in, std::int64_t out);
  /// An x that is moved here is freed as soon as it is not needed.
  Tensor operator()(const Chunk& chunk, Tensor x) const;

 private:
  Tensor norm1_;  // [in]
  CausalConv conv1_;
  Tensor norm2_;  // [out]
  CausalConv conv2_;
  std::optional<Conv> shortcut_;  // when the width changes
};

/// One head over the positions of each frame.
class AttentionBlock {
 public:
  AttentionBlock(Builder& builder, const std::string& name, std::int64_t channels);
  Tensor operator()(const Chunk& chunk, const Tensor& x) const;

 private:
  Tensor norm_;                           // [C]
  std::array<Tensor, 3> qkv_, qkv_bias_;  // [C, C] and [C] each
  Tensor proj_, proj_bias_;               // [C, C], [C]
};

class MidBlock {
 public:
  MidBlock(Builder& builder, const std::string& name, std::int64_t channels);
  Tensor operator()(const Chunk& chunk, const Tensor& x) const;

 private:
  ResBlock before_;
  AttentionBlock attention_;
  ResBlock after_;
};

enum class Resampling { space, space_and_time };

class Upsampler {
 public:
  Upsampler(Builder& builder, const std::string& name, Resampling kind, std::int64_t in,
            std::int64_t out);
  Tensor operator()(const Chunk& chunk, Tensor x) const;

 private:
  std::optional<Conv> time_conv_;
  int time_layer_ = -1;
  Conv conv_;
};

class Downsampler {
 public:
  Downsampler(Builder& builder, const std::string& name, Resampling kind, std::int64_t channels);
  Tensor operator()(const Chunk& chunk, const Tensor& x) const;

 private:
  Conv conv_;
  std::optional<Conv> time_conv_;
  int time_layer_ = -1;
};

}  // namespace weft::vae
