#pragma once
// The plain double-precision twins of every operation: loops as in the contract (weft/ops/ops.h),
// no blocking, no tricks. Values are row-major as in the tensors.

#include <cstdint>
#include <vector>

#include "weft/device/tensor.h"

namespace weft::reference {

using Values = std::vector<double>;

inline Values values(const Tensor& x) {
  const auto floats = x.span();
  return {floats.begin(), floats.end()};
}

/// Element i of x as double.
inline double at(const Tensor& x, std::int64_t i) {
  return static_cast<double>(x.data<float>()[i]);
}

inline double& at(Values& x, std::int64_t i) { return x[static_cast<std::size_t>(i)]; }
inline double at(const Values& x, std::int64_t i) { return x[static_cast<std::size_t>(i)]; }

}  // namespace weft::reference
