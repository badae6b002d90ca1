#pragma once
// Tokens for heads and back, among the Ulysses ranks of one ring position: each comes with its own
// tokens and all heads, and leaves with all their tokens and its own heads. Heads go in parts, so
// that one part's exchange can run beside another's attention.

#include <cstdint>
#include <memory>
#include <vector>

#include "weft/comm/fabric.h"

namespace weft {

class HeadExchange {
 public:
  /// `heads` >= link->size(). Parts: `chunks`, but no more than the heads of any rank.
  HeadExchange(std::unique_ptr<TensorLink> link, std::int64_t heads, int chunks);
  [[nodiscard]] int parts() const { return parts_; }
  [[nodiscard]] const TensorLink& link() const { return *link_; }

  /// The tokens of all ranks: rank u has rows [rows[u], rows[u + 1]) of the block.
  using Rows = std::vector<std::int64_t>;

  /// The block's queries, keys and values for this rank's heads of a part, [n_block, h, d], once
  /// `arriving` is finished.
  struct Block {
    Tensor q, k, v;
    TensorLink::Pending arriving;
  };
  /// q, k, v [n, H, d].
  Block start_gather(const Tensor& q, const Tensor& k, const Tensor& v, const Rows& rows, int part);

  /// Results of a part on their way to the ranks whose tokens they belong to.
  struct Return {
    std::vector<Tensor> by_rank;  // [n, h of that rank, d]; undefined for this rank
    TensorLink::Pending arriving;
  };
  /// `mixed` [n_block, h, d]: this rank's own tokens of it go straight to `out` [n, H, d].
  Return start_return(const Tensor& mixed, const Rows& rows, int part, const Tensor& out);
  /// Waits for the others' heads of a part and places them in `out`.
  void finish_return(Return& results, int part, const Tensor& out);

 private:
  struct HeadRange {
    std::int64_t begin, end;
    [[nodiscard]] std::int64_t size() const { return end - begin; }
  };
  [[nodiscard]] HeadRange heads_of(int rank, int part) const;

  std::unique_ptr<TensorLink> link_;
  std::int64_t heads_;
  int parts_;
};

}  // namespace weft
