#pragma once
// What the sentencepiece library trusts in a model file and follows without a look.

#include <string>
#include <string_view>

namespace weft {

/// "" when every jump of the model's normalisation tables stays inside them, else what is wrong.
/// `model`: the serialised file.
std::string sentencepiece_problem(std::string_view model);

}  // namespace weft
