#pragma once
// Self-attention of queries that stay over keys and values that come in blocks of tokens, as they
// travel around a ring of ranks (Liu et al. 2023).

#include <cstdint>
#include <span>
#include <vector>

#include "weft/device/tensor.h"

namespace weft {

class BlockAttention {
 public:
  virtual ~BlockAttention() = default;

  /// What a block is on its way: `count` tensors of one shape and type. It depends on the block's
  /// tokens and on what Ops::block_attention() was asked for, so that every rank knows it; in fp8
  /// precision also on the kind of GPU, of which a ring must not have two.
  struct Form {
    int count;
    Shape shape;
    DType type;
  };
  [[nodiscard]] virtual Form form(std::int64_t tokens) const = 0;
  /// k, v [n, H, d] act in that form. Asked for on the stream, like every operation.
  [[nodiscard]] virtual std::vector<Tensor> pack(const Tensor& k, const Tensor& v) = 0;
  /// `out` becomes the attention over this block and those before; the first overwrites it.
  virtual void add(std::span<const Tensor> block, std::int64_t tokens) = 0;
};

}  // namespace weft
