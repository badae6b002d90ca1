#pragma once
// The colours of the report: one table, so that a stage looks the same in every figure.

#include <string>
#include <vector>

#include "weft/base/stages.h"
#include "weft/scaling/svg.h"

namespace weft {

/// After Okabe and Ito (2008), "Color Universal Design", with greys and a brown for the stages
/// beyond their seven; told apart also by those who see no red or no green.
const Colour& stage_colour(Stage stage);
/// Time of a rank that no stage has, and time after its last stage.
const Colour& other_colour();
const Colour& idle_colour();
/// Measured values of the whole clip; fitted laws, the best first.
const Colour& whole_colour();
const Colour& law_colour(std::size_t place);
/// Numbers of ranks side by side, from few (pale) to many (full).
const Colour& ranks_colour(std::size_t place, std::size_t count);

const Colour& paper_colour();
const Colour& ink_colour();
const Colour& soft_ink_colour();
const Colour& grid_colour();
/// White or black, whichever reads better on `fill`.
const Colour& on_colour(const Colour& fill);

/// Every colour above as CSS: variables of the light set, the dark set, and the rules that use
/// them.
std::string colour_variables_light();
std::string colour_variables_dark();
std::string colour_rules();

}  // namespace weft
