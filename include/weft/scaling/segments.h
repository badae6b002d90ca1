#pragma once
// A rank's spans, which nest, as pieces of time that do not overlap.

#include <vector>

#include "weft/base/stages.h"

namespace weft {

struct Segment {
  Stage stage;
  double begin, end;  // s
};

/// Every moment belongs to the innermost span that is open; moments without one are left out.
/// Ascending; neighbours of one stage are one segment. Their sums are Profile::seconds().
std::vector<Segment> exclusive_segments(const std::vector<Span>& spans);

/// At most about `most` segments that look the same at that resolution: [begin, end) is cut into
/// equal cells, each shown as the stage that is furthest behind its true share so far, so that
/// short pieces that alternate keep their proportion.
std::vector<Segment> coarser(const std::vector<Segment>& segments, double begin, double end,
                             std::size_t most);

}  // namespace weft
