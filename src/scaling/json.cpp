// The result of a scaling measurement for programs.
#include <nlohmann/json.hpp>

#include "weft/scaling/result.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;  // numbers that are not finite become null

Json estimate(const Estimate& e) { return {{"value", e.value}, {"low", e.low}, {"high", e.high}}; }

Json point(const ScalingPoint& p) {
  Json made = {{"ranks", p.ranks},
               {"repeats", p.repeats},
               {"seconds", p.seconds},
               {"spread", p.spread},
               {"work", p.work},
               {"exchange_bytes", p.exchange_bytes},
               {"speedup", p.speedup > 0 ? Json(p.speedup) : Json()},
               {"efficiency", p.speedup > 0 ? Json(p.efficiency) : Json()},
               {"karp_flatt", p.karp_flatt ? Json(*p.karp_flatt) : Json()},
               {"outlier", p.outlier}};
  return made;
}

Json law(const LawFit& fit, const std::vector<int>& ranks) {
  Json made = {{"law", name_of(fit.law)},
               {"formula", formula_of(fit.law)},
               {"one_rank_seconds", estimate(fit.one_rank_seconds)}};
  for (const auto& [name, value] : fit.parameters) made["parameters"][name] = estimate(value);
  made["residuals"] = fit.residuals;
  made["rms_residual"] = fit.rms_residual;
  made["aicc"] = fit.aic;
  made["lack_of_fit"] = fit.lack_of_fit;
  made["predictions"] = Json::array();
  for (const int n : ranks) {
    made["predictions"].push_back({{"ranks", n},
                                   {"seconds", estimate(fit.seconds(n))},
                                   {"speedup", estimate(fit.speedup(n))}});
  }
  return made;
}

Json fit_json(const ScalingFit& fit) {
  Json made = {{"name", fit.name}, {"points", Json::array()}, {"laws", Json::array()}};
  std::vector<int> ranks;  // a curve: measured numbers, then predicted ones
  for (const ScalingPoint& p : fit.points) {
    made["points"].push_back(point(p));
    ranks.push_back(p.ranks);
  }
  for (const int n : predicted_ranks(fit)) ranks.push_back(n);
  for (const LawFit& l : fit.laws) made["laws"].push_back(law(l, ranks));
  made["warnings"] = fit.warnings;
  return made;
}

}  // namespace

std::string to_json(const std::vector<ScalingResult>& results) {
  Json made = {{"schema", 1}, {"weft_version", WEFT_VERSION}, {"groups", Json::array()}};
  for (const ScalingResult& r : results) {
    Json group = {{"work", r.work}, {"scaling", r.weak ? "weak" : "strong"}};
    group["planned_speedup"] = r.planned_speedup;
    group["grids"] = r.grids;
    for (const StageTimes& s : r.stages) group["stage_seconds"][s.name] = s.seconds;
    group["fits"] = Json::array();
    for (const ScalingFit& f : r.fits) group["fits"].push_back(fit_json(f));
    group["warnings"] = r.warnings;
    group["records"] = r.sources;
    made["groups"].push_back(std::move(group));
  }
  return made.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace weft
