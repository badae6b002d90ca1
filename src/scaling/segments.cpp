#include "weft/scaling/segments.h"

#include <algorithm>
#include <array>
#include <optional>

namespace weft {
namespace {

void append(std::vector<Segment>& segments, const Segment& s) {
  if (!(s.end > s.begin)) return;
  if (!segments.empty() && segments.back().stage == s.stage && segments.back().end == s.begin) {
    segments.back().end = s.end;
  } else {
    segments.push_back(s);
  }
}

}  // namespace

std::vector<Segment> exclusive_segments(const std::vector<Span>& spans) {
  std::vector<Span> order = spans;
  std::ranges::sort(order, [](const Span& a, const Span& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  std::vector<Segment> segments;
  std::vector<Span> open;
  double at = 0;  // up to here the time of the open spans is dealt out
  const auto close_until = [&](double time) {
    while (!open.empty() && open.back().end <= time) {
      append(segments, {open.back().stage, at, open.back().end});
      at = std::max(at, open.back().end);
      open.pop_back();
    }
  };
  for (const Span& span : order) {
    close_until(span.begin);
    if (!open.empty()) append(segments, {open.back().stage, at, span.begin});
    at = span.begin;
    open.push_back(span);
  }
  while (!open.empty()) close_until(open.back().end);
  return segments;
}

std::vector<Segment> coarser(const std::vector<Segment>& segments, double begin, double end,
                             std::size_t most) {
  if (segments.size() <= most || !(end > begin)) return segments;
  constexpr std::size_t nothing = stage_count;
  std::array<double, stage_count + 1> owed{};
  const double cell = (end - begin) / static_cast<double>(most);
  std::vector<Segment> made;
  std::size_t next = 0;
  for (std::size_t i = 0; i < most; ++i) {
    const double from = begin + cell * static_cast<double>(i);
    const double to = begin + cell * static_cast<double>(i + 1);
    double covered = 0;
    while (next < segments.size() && segments[next].end <= from) ++next;
    for (std::size_t k = next; k < segments.size() && segments[k].begin < to; ++k) {
      const double part = std::min(to, segments[k].end) - std::max(from, segments[k].begin);
      owed[static_cast<std::size_t>(segments[k].stage)] += part;
      covered += part;
    }
    owed[nothing] += cell - covered;
    const auto shown = static_cast<std::size_t>(std::ranges::max_element(owed) - owed.begin());
    owed[shown] -= cell;
    if (shown == nothing) continue;
    const auto stage = static_cast<Stage>(shown);
    if (!made.empty() && made.back().stage == stage && made.back().end == from) {
      made.back().end = to;
    } else {
      made.push_back({stage, from, to});
    }
  }
  return made;
}

}  // namespace weft
