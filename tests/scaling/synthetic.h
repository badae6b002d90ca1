#pragma once
// Runs that follow a law, with noise in proportion to the time.

#include <functional>
#include <random>
#include <vector>

#include "weft/scaling/fit.h"

namespace weft {

inline const std::vector<int> powers_to_64 = {1, 2, 4, 8, 16, 32, 64};

inline ScalingSeries synthetic(const std::vector<int>& ranks, int repeats, double noise,
                               unsigned seed, const std::function<double(double)>& seconds) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  ScalingSeries made{.name = "whole", .runs = {}};
  for (int repeat = 0; repeat < repeats; ++repeat) {
    for (const int n : ranks) {
      made.runs.push_back({.ranks = n, .seconds = seconds(n) * (1 + noise * normal(random))});
    }
  }
  return made;
}

inline std::function<double(double)> amdahl_seconds(double one, double a) {
  return [=](double n) { return one * (1 + a * (n - 1)) / n; };
}

}  // namespace weft
