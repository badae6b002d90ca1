#pragma once
#include <algorithm>
#include <cmath>

#include "weft/ops/ops.h"

#include "reference/values.h"

namespace weft::reference {

struct Attention {
  Values out;  // [Nq, H, d]
  Values lse;  // [H, Nq]
};

inline Attention attention(const Tensor& q, const Tensor& k, const Tensor& v,
                           const AttentionArgs& args) {
  const std::int64_t queries = q.dim(0), heads = q.dim(1), width = q.dim(2), keys = k.dim(0);
  Attention result{Values(static_cast<std::size_t>(q.numel())),
                   Values(static_cast<std::size_t>(heads * queries))};
  for (std::int64_t h = 0; h < heads; ++h) {
    for (std::int64_t i = 0; i < queries; ++i) {
      Values logits(static_cast<std::size_t>(keys));
      for (std::int64_t j = 0; j < keys; ++j) {
        double dot = 0;
        for (std::int64_t c = 0; c < width; ++c) {
          dot += at(q, (i * heads + h) * width + c) * at(k, (j * heads + h) * width + c);
        }
        at(logits, j) = dot * static_cast<double>(args.scale);
        if (args.bias.defined()) {
          at(logits, j) += at(args.bias, h * (queries + keys - 1) + j - i + queries - 1);
        }
      }
      logits.back() += static_cast<double>(args.last_key_logit);
      const double max = *std::max_element(logits.begin(), logits.end());
      if (max == -INFINITY) {  // all keys masked: zeros
        at(result.lse, h * queries + i) = max;
        continue;
      }
      double sum = 0;
      for (double& logit : logits) sum += logit = std::exp(logit - max);
      at(result.lse, h * queries + i) = max + std::log(sum);
      for (std::int64_t j = 0; j < keys; ++j) {
        for (std::int64_t c = 0; c < width; ++c) {
          at(result.out, (i * heads + h) * width + c) +=
              at(logits, j) / sum * at(v, (j * heads + h) * width + c);
        }
      }
    }
  }
  return result;
}

}  // namespace weft::reference
