#pragma once
// Clocks, ceilings and memory.

#include <functional>

#include "weft/ops/ops.h"

namespace weft::bench {

struct Timing {
  double median = 0, least = 0;  // s
};

/// Runs `work` `warm_up` times, then `repeat` times, each until the device is done.
Timing measure(Ops& ops, int warm_up, int repeat, const std::function<void()>& work);

/// The most that a model may hope for.
struct Ceiling {
  std::int64_t size = 0;        // of the square matrices
  double flops_per_second = 0;  // of ops.linear() in the backend's activation type
};
Ceiling measure_ceiling(Ops& ops);

/// Bytes: on a GPU the most in use since reset_peak_memory(); on the CPU the most that the process
/// ever had resident.
std::size_t peak_memory(const Ops& ops);
void reset_peak_memory(const Ops& ops);

}  // namespace weft::bench
