#pragma once
// How much measured times scatter, and whether a difference is more than that.

#include <vector>

#include "weft/scaling/fit.h"

namespace weft {

/// The probability that a variable of the F-distribution with (d1, d2) degrees of freedom is above
/// f. A two-sided t test is the same with f = t^2 and d1 = 1.
double f_tail(double f, double d1, double d2);

/// Middle of the values; of an even number the mean of the middle two.
double median(std::vector<double> values);

/// The variance of a point (a median of repeats), relative to its time, as its repeats tell it.
struct RepeatScatter {
  double variance = 0;
  double dof = 0;           // 0: no repeats
  double run_variance = 0;  // of a single run
};
/// From the differences of all pairs of repeats, by their median, so that one bad run is not taken
/// for noise. Half of the classical degrees of freedom: what the median of pairs is worth.
RepeatScatter repeat_scatter(const std::vector<std::vector<double>>& times_by_point);

/// The variance of a point around a law.
struct Noise {
  double variance = 0;
  double dof = 0;  // 0: not known
  bool lack_of_fit = false;
};
/// From the points' squared residuals (with `dof` points more than parameters) and their repeats:
/// pooled, unless the points scatter significantly more (5 %).
Noise noise_around(double rss, double dof, const RepeatScatter& repeats);

}  // namespace weft
