// What is known of a law without any data.
#include <algorithm>
#include <cmath>

#include "weft/base/error.h"
#include "weft/scaling/fit.h"

namespace weft {

const char* name_of(Law law) {
  switch (law) {
    case Law::amdahl:
      return "amdahl";
    case Law::usl:
      return "usl";
    case Law::exchange:
      return "exchange";
  }
  return "";
}

const char* formula_of(Law law) {
  switch (law) {
    case Law::amdahl:
      return "S(N) = N / (1 + a (N - 1))";
    case Law::usl:
      return "S(N) = N / (1 + sigma (N - 1) + kappa N (N - 1))";
    case Law::exchange:
      return "T(N) = serial + parallel / N + bytes(N) / bandwidth";
  }
  return "";
}

double karp_flatt(double speedup, double ranks) {
  WEFT_ASSERT(ranks > 1, "Karp-Flatt on {} ranks", ranks);
  return (1 / speedup - 1 / ranks) / (1 - 1 / ranks);
}

RankCurve::RankCurve(std::vector<std::pair<double, double>> known) {
  for (const auto& [ranks, value] : known) {
    if (value > 0) logs_.emplace_back(std::log(ranks), std::log(value));
  }
}

double RankCurve::at(double ranks) const {
  if (logs_.empty()) return 0;
  const double x = std::log(ranks);
  if (logs_.size() == 1) return std::exp(logs_.front().second);
  const auto slope = [&](std::size_t i) {  // of the line that ends at i
    return (logs_[i].second - logs_[i - 1].second) / (logs_[i].first - logs_[i - 1].first);
  };
  const auto beyond = [&](std::size_t end, double s) {
    return std::exp(logs_[end].second + std::clamp(s, -1.0, 1.0) * (x - logs_[end].first));
  };
  if (x <= logs_.front().first) return beyond(0, slope(1));
  if (x >= logs_.back().first) return beyond(logs_.size() - 1, slope(logs_.size() - 1));
  std::size_t i = 1;
  while (logs_[i].first < x) ++i;
  return std::exp(logs_[i - 1].second + slope(i) * (x - logs_[i - 1].first));
}

}  // namespace weft
