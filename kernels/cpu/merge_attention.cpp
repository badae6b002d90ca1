// Two partial attentions become one; a row is one head of one token.
#include <cmath>
#include <limits>

#include "cpu_ops.h"
#include "parallel.h"

namespace weft::cpu {
namespace {

struct Weights {
  float own, part;
};

/// What both sides count for in the merged result, whose log-sum-exp replaces `lse`.
Weights merge_lse(float& lse, float part_lse) {
  constexpr double none = -std::numeric_limits<double>::infinity();
  const double own = lse, part = part_lse;
  // Relative to the larger of both, so that neither exponential overflows; with no keys on either
  // side any finite reference will do.
  const double top = own > part ? own : part;
  const double reference = top == none ? 0 : top;
  const double own_sum = std::exp(own - reference), part_sum = std::exp(part - reference);
  const double sum = own_sum + part_sum;
  lse = static_cast<float>(reference + std::log(sum));
  if (sum == 0) return {0, 0};
  return {static_cast<float>(own_sum / sum), static_cast<float>(part_sum / sum)};
}

}  // namespace

void CpuOps::merge_attention(Tensor out, Tensor lse, const Tensor& part, const Tensor& part_lse) {
  const std::int64_t tokens = out.dim(0), heads = out.dim(1), width = out.dim(2);
  WEFT_ASSERT(part.shape() == out.shape() && lse.shape() == Shape({heads, tokens}) &&
                  part_lse.shape() == lse.shape(),
              "merge_attention: out {}, lse {}, part {}, part_lse {}", out.shape().str(),
              lse.shape().str(), part.shape().str(), part_lse.shape().str());
  float* const sums = lse.data<float>();
  const float* const part_sums = part_lse.data<float>();
  for_ranges(threads_, tokens * heads, 12 * width, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t at = row % heads * tokens + row / heads;
      const Weights weight = merge_lse(sums[at], part_sums[at]);
      float* to = out.data<float>() + row * width;
      const float* from = part.data<float>() + row * width;
      for (std::int64_t j = 0; j < width; ++j) {
        to[j] = to[j] * weight.own + from[j] * weight.part;
      }
    }
  });
}

}  // namespace weft::cpu
