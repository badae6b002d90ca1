#pragma once
// Models by name: the sizes of the published ones (spec 1), so that a speed needs no weights at
// hand.

#include <cstdint>
#include <string>
#include <vector>

#include "weft/model/cost_size.h"

namespace weft::bench {

inline constexpr std::int64_t text_length = 512;  // rows of text that reach the transformer

/// What a clip measures, in pixels and frames.
struct ClipSize {
  std::int64_t width, height, frames;
};

struct ModelSizes {
  std::string name;
  TransformerConfig transformer;
  TextConfig text;
  VaeConfig vae;
  ClipSize native;  // the clip the model was trained at
};

std::vector<std::string> model_names();
/// `name` is one of model_names().
ModelSizes model_sizes(const std::string& name);

/// Shape of a clip's latents [C, T, H, W]. InputError: a size that the model does not take.
Shape latent_shape(const ModelSizes& model, const ClipSize& clip);

}  // namespace weft::bench
