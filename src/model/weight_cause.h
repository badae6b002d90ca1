#pragma once
// Guesses, from what does not fit, why a folder's weights do not match its config.json.

#include <string>
#include <vector>

#include "weft/model/weight_source.h"

namespace weft {

/// One sentence for the user, or "" when nothing stands out. `fitting` tensors were as expected.
std::string likely_cause(const TensorFiles& files, const std::vector<WeightSource::Misfit>& misfits,
                         const std::vector<std::string>& extras, std::size_t fitting);

}  // namespace weft
