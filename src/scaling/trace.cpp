#include "weft/scaling/trace.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "works.h"

namespace weft {
namespace {

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Whole nanoseconds: rounded once, a span that lies within another stays within it.
struct Times {
  std::int64_t begin, end;
};

Times times_of(const Span& span) {
  return {std::llround(span.begin * 1e9), std::llround(span.end * 1e9)};
}

std::string microseconds(std::int64_t ns) {
  const char* sign = ns < 0 ? "-" : "";
  return fmt::format("{}{}.{:03}", sign, std::abs(ns) / 1000, std::abs(ns) % 1000);
}

/// Threads of one rank: the ends of the spans that are open in each.
class Lanes {
 public:
  /// The first thread where a span of these times nests. Spans come by begin, longer ones first.
  std::size_t place(const Times& t) {
    for (std::size_t lane = 0;; ++lane) {
      if (lane == open_.size()) open_.emplace_back();
      auto& ends = open_[lane];
      while (!ends.empty() && ends.back() <= t.begin) ends.pop_back();
      if (!ends.empty() && ends.back() < t.end) continue;
      ends.push_back(t.end);
      return lane;
    }
  }
  [[nodiscard]] std::size_t count() const { return open_.size(); }

 private:
  std::vector<std::vector<std::int64_t>> open_;
};

std::string arguments_of(const Span& span) {
  std::string text;
  const auto add = [&](const char* name, const std::string& value) {
    text += fmt::format("{}\"{}\":{}", text.empty() ? "" : ",", name, value);
  };
  if (span.step >= 0) add("step", std::to_string(span.step));
  if (span.bytes > 0) add("bytes", std::to_string(span.bytes));
  if (span.flops > 0) add("flops", fmt::format("{}", span.flops));
  return text;
}

class TraceText {
 public:
  void name(const char* what, int pid, std::size_t tid, const std::string& value) {
    event(fmt::format(R"({{"name":"{}","ph":"M","pid":{},"tid":{},"args":{{"name":{}}}}})", what,
                      pid, tid, quoted(value)));
  }
  void span(const Span& span, const Times& t, int pid, std::size_t tid) {
    event(
        fmt::format(R"({{"name":"{}","ph":"X","ts":{},"dur":{},"pid":{},"tid":{},"args":{{{}}}}})",
                    stage_name(span.stage), microseconds(t.begin), microseconds(t.end - t.begin),
                    pid, tid, arguments_of(span)));
  }
  std::string finish() && { return text_.empty() ? "[]\n" : text_ + "\n]\n"; }

 private:
  void event(const std::string& text) { text_ += (text_.empty() ? "[\n" : ",\n") + text; }
  std::string text_;
};

void add_rank(TraceText& trace, const RankReport& rank, int pid, const std::string& prefix) {
  trace.name("process_name", pid, 0, fmt::format("{}rank {} ({})", prefix, rank.rank, rank.host));
  std::vector<Span> order = rank.spans;
  std::ranges::sort(order, [](const Span& a, const Span& b) {
    const Times x = times_of(a), y = times_of(b);
    return x.begin != y.begin ? x.begin < y.begin : x.end > y.end;
  });
  Lanes lanes;
  for (const Span& span : order) {
    const Times t = times_of(span);
    trace.span(span, t, pid, lanes.place(t));
  }
  for (std::size_t lane = 0; lane < lanes.count(); ++lane) {
    trace.name("thread_name", pid, lane,
               lane == 0 ? "stages" : fmt::format("stages beside ({})", lane));
  }
}

}  // namespace

std::string trace_json(const std::vector<RunRecord>& records) {
  std::size_t most = 1;
  for (const RunRecord& r : records) most = std::max(most, r.ranks.size());
  int stride = 10;
  while (static_cast<std::size_t>(stride) < most) stride *= 10;
  TraceText trace;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::string prefix = records.size() == 1 ? "" : record_name(records[i]) + ", ";
    for (const RankReport& rank : records[i].ranks) {
      add_rank(trace, rank, static_cast<int>(i) * stride + rank.rank, prefix);
    }
  }
  return std::move(trace).finish();
}

}  // namespace weft
