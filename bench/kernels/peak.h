#pragma once
// What this machine can do at most, measured, so that every figure has a percentage beside it.

namespace weft::bench {

struct Peak {
  double gflops;  // fused multiply-adds in registers, all threads
  double gbytes;  // a[i] = b[i] + c[i] over arrays that no cache holds, all threads
};

/// The best of several short runs (other load on the machine only makes a run slower).
Peak measure_peak(int threads);

}  // namespace weft::bench
