#pragma once
// Where an axis is labelled, and how.

#include <string>
#include <vector>

namespace weft {

/// Multiples of 1, 2 or 5 times a power of ten within [low, high], at most `most` of them.
std::vector<double> linear_ticks(double low, double high, int most);
/// Powers of two within [low, high]; of four, eight ... when there would be more than `most`.
std::vector<double> log2_ticks(double low, double high, int most);
/// The least multiple of the step of linear_ticks(0, high, most) that is not below `high`.
double rounded_up(double high, int most);

/// "0.25", "4096": as short as the value allows, never with an exponent between 1e-4 and 1e9.
std::string tick_text(double value);

}  // namespace weft
