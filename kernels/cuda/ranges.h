#pragma once

namespace weft::cuda {

/// Stages become NVTX ranges of the same names: Nsight Systems shows them above the kernels
/// (nsys profile -t cuda,nvtx). Without a profiler a range costs a few nanoseconds.
void name_ranges();

}  // namespace weft::cuda
