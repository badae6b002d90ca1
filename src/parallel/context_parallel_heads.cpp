#include "context_parallel_heads.h"

#include <algorithm>
#include <array>
#include <utility>

#include "weft/device/copy_boxes.h"

namespace weft {
namespace {

/// Heads [begin, begin + to.dim(1)) of x [n, H, d].
BoxCopy take_heads(const Tensor& x, std::int64_t begin, const Tensor& to) {
  return {x, {0, begin, 0}, to, {0, 0, 0}, {to.dim(0), to.dim(1), to.dim(2)}};
}

/// x [n, h, d] as heads [begin, begin + h) of `to` [n, H, d].
BoxCopy place_heads(const Tensor& x, const Tensor& to, std::int64_t begin) {
  return {x, {0, 0, 0}, to, {0, begin, 0}, {x.dim(0), x.dim(1), x.dim(2)}};
}

Tensor like(const Tensor& x, const Shape& shape) {
  return Tensor::empty(shape, x.dtype(), x.device());
}

}  // namespace

HeadExchange::HeadExchange(std::unique_ptr<TensorLink> link, std::int64_t heads, int chunks)
    : link_(std::move(link)), heads_(heads) {
  const std::int64_t fewest = heads / link_->size();
  WEFT_ASSERT(fewest >= 1 && chunks >= 1, "{} heads in {} parts on {} ranks", heads, chunks,
              link_->size());
  parts_ = static_cast<int>(std::min<std::int64_t>(chunks, fewest));
}

HeadExchange::HeadRange HeadExchange::heads_of(int rank, int part) const {
  const auto first = [&](int r) { return heads_ * r / link_->size(); };
  const std::int64_t share = first(rank + 1) - first(rank);
  return {first(rank) + share * part / parts_, first(rank) + share * (part + 1) / parts_};
}

HeadExchange::Block HeadExchange::start_gather(const Tensor& q, const Tensor& k, const Tensor& v,
                                               const Rows& rows, int part) {
  const std::int64_t n = q.dim(0), width = q.dim(2);
  const int me = link_->rank();
  const HeadRange mine = heads_of(me, part);
  const Shape shape{rows.back(), mine.size(), width};
  Block block{like(q, shape), like(k, shape), like(v, shape), {}};
  const std::array<std::pair<const Tensor*, const Tensor*>, 3> tensors{
      {{&q, &block.q}, {&k, &block.k}, {&v, &block.v}}};
  const auto rows_of = [&](const Tensor& whole, int rank) {
    const auto r = static_cast<std::size_t>(rank);
    return whole.slice(rows[r], rows[r + 1]);
  };
  std::vector<TensorMessage> sends, receives;
  std::vector<BoxCopy> leaving, staying;
  for (int rank = 0; rank < link_->size(); ++rank) {
    if (rank == me) continue;
    const HeadRange theirs = heads_of(rank, part);
    for (const auto& [from, to] : tensors) {
      sends.push_back({like(*from, {n, theirs.size(), width}), rank});
      leaving.push_back(take_heads(*from, theirs.begin, sends.back().data));
      receives.push_back({rows_of(*to, rank), rank});
    }
  }
  copy_boxes(leaving);
  block.arriving = link_->start(std::move(sends), std::move(receives));
  // After the start, so that the transfer need not wait for these copies.
  for (const auto& [from, to] : tensors) {
    staying.push_back(take_heads(*from, mine.begin, rows_of(*to, me)));
  }
  copy_boxes(staying);
  return block;
}

HeadExchange::Return HeadExchange::start_return(const Tensor& mixed, const Rows& rows, int part,
                                                const Tensor& out) {
  const int me = link_->rank();
  Return results;
  std::vector<TensorMessage> sends, receives;
  const auto tokens_of = [&](int rank) {
    const auto r = static_cast<std::size_t>(rank);
    return mixed.slice(rows[r], rows[r + 1]);
  };
  for (int rank = 0; rank < link_->size(); ++rank) {
    results.by_rank.emplace_back();
    if (rank == me) continue;
    const Tensor theirs = like(out, {out.dim(0), heads_of(rank, part).size(), out.dim(2)});
    results.by_rank.back() = theirs;
    sends.push_back({tokens_of(rank), rank});
    receives.push_back({theirs, rank});
  }
  results.arriving = link_->start(std::move(sends), std::move(receives));
  copy_boxes(std::array{place_heads(tokens_of(me), out, heads_of(me, part).begin)});
  return results;
}

void HeadExchange::finish_return(Return& results, int part, const Tensor& out) {
  results.arriving.finish();
  std::vector<BoxCopy> arrived;
  for (int rank = 0; rank < link_->size(); ++rank) {
    const Tensor& theirs = results.by_rank[static_cast<std::size_t>(rank)];
    if (theirs.defined()) arrived.push_back(place_heads(theirs, out, heads_of(rank, part).begin));
  }
  copy_boxes(arrived);
}

}  // namespace weft
