#pragma once
// Curves of speed-up and efficiency: what was measured, the laws, the ideal.

#include "weft/scaling/figure.h"

#include "works.h"

namespace weft {

enum class Quantity { speedup, efficiency };

struct LawFigure {
  std::string id, title, caption;
  Quantity quantity = Quantity::speedup;
  double to = 8;  // ranks at the right edge
};

/// One series with all its laws, the band of the best.
Figure law_figure(const LawFigure& wanted, const FittedSeries& fitted);
/// All series, each with the law that explains it best, in the colours of their stages.
Figure stages_figure(const std::string& id, const Work& work, double to);

inline int most_ranks(const ScalingFit& fit) { return fit.points.back().ranks; }

}  // namespace weft
