#pragma once
// The numbers of a model's configuration that fix its cost (grid/cost.h).

#include "weft/grid/cost.h"
#include "weft/model/text_encoder.h"
#include "weft/model/transformer.h"
#include "weft/model/vae.h"

namespace weft {

TransformerSize cost_size(const TransformerConfig& c);
TextEncoderSize cost_size(const TextConfig& c);
VaeSize cost_size(const VaeConfig& c);

}  // namespace weft
