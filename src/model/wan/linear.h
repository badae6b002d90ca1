#pragma once
#include "weft/model/weight_source.h"

namespace weft {

struct Linear {
  Tensor weight, bias;  // [out, in], [out]
};

inline Linear take_linear(WeightSource& weights, const std::string& name, std::int64_t out,
                          std::int64_t in) {
  return {weights.take(name + ".weight", {out, in}), weights.take(name + ".bias", {out})};
}

/// As take_linear, in float32 in every precision.
inline Linear take_linear_f32(WeightSource& weights, const std::string& name, std::int64_t out,
                              std::int64_t in) {
  return {weights.take_f32(name + ".weight", {out, in}), weights.take_f32(name + ".bias", {out})};
}

}  // namespace weft
