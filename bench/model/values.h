#pragma once
// Values between the host and a backend, as float32 on the host.

#include "weft/ops/ops.h"

namespace weft::bench {

/// Unit normals on the host. A piece of them is drawn and repeated: for timing, values must differ
/// (a matmul of zeros draws less power and runs faster), not be independent.
Tensor random_values(const Shape& shape, std::uint64_t seed);
/// A float32 host tensor on the device of `ops` as `type` (on the CPU always float32).
Tensor on_device(const Ops& ops, const Tensor& host, DType type);
/// Any float tensor as float32 on the host.
Tensor on_host(const Tensor& t);
/// Error when a value of `t` is infinite or not a number; `what` names it.
void require_finite(const Tensor& t, const char* what);

}  // namespace weft::bench
