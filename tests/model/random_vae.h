#pragma once
// An autoencoder of any configuration with random weights, stored and loaded as a model folder is.

#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "weft/model/vae.h"

#include "support/temp_folder.h"

namespace weft::test {

inline Tensor random_tensor(const Shape& shape, float scale, unsigned seed) {
  std::mt19937 random(seed);
  Tensor t = Tensor::empty(shape);
  for (float& x : t.span()) {
    x = scale * (static_cast<float>(random()) / 2147483648.0F - 1);  // the same on every machine
  }
  return t;
}

/// Names and shapes of every tensor of the model, learnt by asking it to load from a file that has
/// none of them.
inline std::vector<WeightSource::Misfit> wanted_tensors(const VaeConfig& config) {
  const TempFolder folder;
  write_safetensors(folder.path() / "none.safetensors", {{"none", Tensor::zeros({1})}});
  const TensorFiles none(folder.path(), "none");
  WeightSource source(none, "vae", WeightSource::Mode::check);
  const VaeDecoder decoder(config, source);
  const VaeEncoder encoder(config, source);
  return source.misfits();
}

class RandomVae {
 public:
  explicit RandomVae(const VaeConfig& config) : config_(config) { store(tensors()); }

  /// Random values for every tensor, scaled so that activations keep their size.
  [[nodiscard]] std::map<std::string, Tensor> tensors() const {
    std::map<std::string, Tensor> made;
    unsigned seed = 1;
    for (const auto& wish : wanted_tensors(config_)) {
      const bool is_matrix = wish.name.ends_with(".weight");
      const auto inputs = static_cast<float>(wish.want.numel() / wish.want[0]);
      made[wish.name] = random_tensor(wish.want, is_matrix ? std::sqrt(3 / inputs) : 1, seed++);
    }
    return made;
  }
  const TensorFiles& store(const std::map<std::string, Tensor>& tensors) {
    write_safetensors(folder_.path() / "model.safetensors", tensors);
    files_ = std::make_unique<TensorFiles>(folder_.path(), "model");
    return *files_;
  }
  [[nodiscard]] VaeDecoder decoder() const { return load<VaeDecoder>(); }
  [[nodiscard]] VaeEncoder encoder() const { return load<VaeEncoder>(); }

 private:
  template <class Half>
  Half load() const {
    WeightSource weights(*files_, "vae", WeightSource::Mode::load);
    Half half(config_, weights);
    weights.throw_if_wrong();
    return half;
  }
  VaeConfig config_;
  TempFolder folder_;
  std::unique_ptr<TensorFiles> files_;
};

}  // namespace weft::test
