#include "weft/parallel/context_parallel.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "context_parallel_heads.h"
#include "context_parallel_ring.h"

namespace weft {
namespace {

/// Tokens dealt in order: the first tokens % ranks ranks have one more.
std::int64_t first_token(std::int64_t tokens, int ranks, int rank) {
  return tokens / ranks * rank + std::min<std::int64_t>(tokens % ranks, rank);
}

}  // namespace

struct ContextParallelAttention::Impl {
  int ranks, rank;  // of the forward
  int ulysses, ring;
  int position;  // of this rank in the ring
  std::int64_t heads;
  std::unique_ptr<TensorLink> all;                // nullptr: one rank
  std::unique_ptr<HeadExchange> head_exchange;    // nullptr: one Ulysses rank
  std::unique_ptr<RingAttention> ring_attention;  // nullptr: a ring of one
  std::int64_t tokens = 0;                        // of the sequence at hand

  [[nodiscard]] std::int64_t begin(int of) const { return first_token(tokens, ranks, of); }
  /// Where the tokens of each rank of this ring position begin within its block, and its end.
  [[nodiscard]] HeadExchange::Rows rows_in_block() const {
    HeadExchange::Rows rows;
    for (int u = 0; u <= ulysses; ++u) {
      rows.push_back(begin(position * ulysses + u) - begin(position * ulysses));
    }
    return rows;
  }
  [[nodiscard]] std::vector<std::int64_t> block_sizes() const {
    std::vector<std::int64_t> sizes;
    for (int r = 0; r < ring; ++r) sizes.push_back(begin((r + 1) * ulysses) - begin(r * ulysses));
    return sizes;
  }

  /// All tokens of this ring position's block, some heads.
  void attend(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
              const Tensor& out) const {
    if (ring_attention == nullptr) {
      ops.attention(q, k, v, {.scale = scale}, out);
    } else {
      ring_attention->run(ops, q, k, v, scale, block_sizes(), out);
    }
  }

  /// Heads in parts: the next part comes and the one before goes home beside a part's attention.
  void run_in_parts(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                    const Tensor& out) const {
    const HeadExchange::Rows rows = rows_in_block();
    const int parts = head_exchange->parts();
    std::vector<HeadExchange::Return> going_home;
    HeadExchange::Block coming = head_exchange->start_gather(q, k, v, rows, 0);
    for (int part = 0; part < parts; ++part) {
      HeadExchange::Block block = std::exchange(coming, HeadExchange::Block{});
      block.arriving.finish();
      if (part + 1 < parts) coming = head_exchange->start_gather(q, k, v, rows, part + 1);
      const Tensor mixed = Tensor::empty(block.q.shape(), out.dtype(), out.device());
      attend(ops, block.q, block.k, block.v, scale, mixed);
      going_home.push_back(head_exchange->start_return(mixed, rows, part, out));
    }
    for (int part = 0; part < parts; ++part) {
      head_exchange->finish_return(going_home[static_cast<std::size_t>(part)], part, out);
    }
  }
};

ContextParallelAttention::ContextParallelAttention(Fabric& fabric, const Communicator& group,
                                                   int ulysses, int ring, std::int64_t heads,
                                                   int chunks)
    : impl_(std::make_unique<Impl>()) {
  WEFT_ASSERT(ulysses >= 1 && ring >= 1 && ulysses * ring == group.size(),
              "ulysses {} x ring {} on {} ranks", ulysses, ring, group.size());
  WEFT_ASSERT(heads >= ulysses && chunks >= 1, "{} heads in {} chunks on {} ranks", heads, chunks,
              ulysses);
  Impl& m = *impl_;
  m.ranks = group.size();
  m.rank = group.rank();
  m.ulysses = ulysses;
  m.ring = ring;
  m.position = m.rank / ulysses;
  m.heads = heads;
  if (m.ranks > 1) m.all = fabric.link(group);
  if (ulysses > 1) {
    m.head_exchange =
        std::make_unique<HeadExchange>(fabric.link(group.split(m.position)), heads, chunks);
  }
  if (ring > 1) {
    m.ring_attention = std::make_unique<RingAttention>(fabric.link(group.split(m.rank % ulysses)));
  }
}

ContextParallelAttention::~ContextParallelAttention() = default;

TokenRange ContextParallelAttention::range(std::int64_t tokens) const {
  const Impl& m = *impl_;
  WEFT_ASSERT(tokens >= m.ranks, "{} tokens for {} ranks", tokens, m.ranks);
  impl_->tokens = tokens;
  return {m.begin(m.rank), m.begin(m.rank + 1)};
}

void ContextParallelAttention::run(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v,
                                   float scale, Tensor out) {
  const Impl& m = *impl_;
  if (m.ranks == 1) return ops.attention(q, k, v, {.scale = scale}, out);
  WEFT_ASSERT(q.dim(0) == m.begin(m.rank + 1) - m.begin(m.rank) && q.dim(1) == m.heads &&
                  k.shape() == q.shape() && v.shape() == q.shape() && out.shape() == q.shape(),
              "q {}, k {}, v {}, out {}: rank {} of {}, {} tokens, {} heads", q.shape().str(),
              k.shape().str(), v.shape().str(), out.shape().str(), m.rank, m.ranks, m.tokens,
              m.heads);
  if (m.head_exchange == nullptr) {
    m.attend(ops, q, k, v, scale, out);
  } else {
    m.run_in_parts(ops, q, k, v, scale, out);
  }
}

Tensor ContextParallelAttention::gather(Ops& /*ops*/, const Tensor& features, std::int64_t tokens) {
  const Impl& m = *impl_;
  if (m.ranks == 1) return features;
  std::vector<std::int64_t> begins;
  for (int rank = 0; rank <= m.ranks; ++rank) begins.push_back(first_token(tokens, m.ranks, rank));
  const auto mine = static_cast<std::size_t>(m.rank);
  Tensor whole =
      Tensor::empty(features.shape().with(0, tokens), features.dtype(), features.device());
  copy(features, whole.slice(begins[mine], begins[mine + 1]));
  start_all_gather(*m.all, whole, begins).finish();
  return whole;
}

std::int64_t ContextParallelAttention::bytes_sent() const {
  std::int64_t sum = impl_->all == nullptr ? 0 : impl_->all->bytes_sent();
  if (impl_->head_exchange != nullptr) sum += impl_->head_exchange->link().bytes_sent();
  if (impl_->ring_attention != nullptr) sum += impl_->ring_attention->link().bytes_sent();
  return sum;
}

}  // namespace weft
