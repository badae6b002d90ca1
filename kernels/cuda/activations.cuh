#pragma once
// The activation functions of Ops in float32, to within a few units in the last place.

#include <cuda_runtime.h>

#include "weft/ops/ops.h"

namespace weft::cuda {

__device__ inline float silu(float x) { return x / (1 + expf(-x)); }
/// x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), written as x / (1 + exp(-2 u)): the
/// sum 1 + tanh would lose all digits where x is negative.
__device__ inline float gelu_tanh(float x) {
  constexpr float two_sqrt_2_over_pi = 1.5957691216F;
  return x / (1 + expf(-two_sqrt_2_over_pi * (x + 0.044715F * x * x * x)));
}
__device__ inline float activate(float x, Activation act) {
  if (act == Activation::silu) return silu(x);
  if (act == Activation::gelu_tanh) return gelu_tanh(x);
  return x;
}

}  // namespace weft::cuda
