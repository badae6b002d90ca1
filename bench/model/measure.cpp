#include "measure.h"

#include <algorithm>

#include <sys/resource.h>

#include "weft/base/stages.h"
#include "weft/device/device_api.h"

#include "values.h"

namespace weft::bench {

Timing measure(Ops& ops, int warm_up, int repeat, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int i = 0; i < warm_up + repeat; ++i) {
    ops.synchronize();
    const double start = now_seconds();
    work();
    ops.synchronize();
    if (i >= warm_up) seconds.push_back(now_seconds() - start);
  }
  std::sort(seconds.begin(), seconds.end());
  const std::size_t half = seconds.size() / 2;
  const double median =
      seconds.size() % 2 == 1 ? seconds[half] : (seconds[half - 1] + seconds[half]) / 2;
  return {median, seconds.front()};
}

Ceiling measure_ceiling(Ops& ops) {
  const bool gpu = ops.device() == DeviceKind::cuda;
  const std::int64_t n = gpu ? 8192 : 2048;
  const int calls = gpu ? 20 : 2;  // several at a time: a GPU needs only 1.4 ms for one
  const DType type = ops.activation();
  const Tensor x = on_device(ops, random_values({n, n}, 1), type);
  const Tensor w = on_device(ops, random_values({n, n}, 2), type);
  const Tensor y = Tensor::empty({n, n}, type, ops.device());
  const Timing timing = measure(ops, 2, 7, [&] {
    for (int i = 0; i < calls; ++i) ops.linear(x, w, {}, y);
  });
  const auto side = static_cast<double>(n);
  return {n, 2 * side * side * side * calls / timing.median};
}

std::size_t peak_memory(const Ops& ops) {
  if (ops.device() == DeviceKind::cuda) return cuda_device_api()->memory().peak;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

void reset_peak_memory(const Ops& ops) {
  if (ops.device() == DeviceKind::cuda) cuda_device_api()->reset_peak();
}

}  // namespace weft::bench
