#include "cuda_measure.h"

#include <algorithm>
#include <cmath>

#include "weft/base/rng.h"
#include "weft/device/device_api.h"

#include "check.h"
#include "stream.h"

namespace weft::bench {
namespace {

class Event {
 public:
  Event() { check(cudaEventCreate(&handle_), "cudaEventCreate"); }
  ~Event() { static_cast<void>(cudaEventDestroy(handle_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record() { check(cudaEventRecord(handle_, cuda_stream()), "cudaEventRecord"); }
  [[nodiscard]] double seconds_since(const Event& begin) const {
    check(cudaEventSynchronize(handle_), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin.handle_, handle_), "cudaEventElapsedTime");
    return milliseconds / 1e3;
  }

 private:
  cudaEvent_t handle_ = nullptr;
};

/// Of the calls first, first + 1, ... together.
double seconds_of(std::size_t first, std::size_t count,
                  const std::function<void(std::size_t)>& call) {
  Event begin;
  Event end;
  begin.record();
  for (std::size_t i = 0; i < count; ++i) call(first + i);
  end.record();
  return end.seconds_since(begin);
}

/// Of one call, the median over groups of `group` calls, after a group that does not count.
double median_seconds(std::size_t group, const std::function<void()>& call) {
  constexpr std::size_t groups = 9;
  std::vector<double> seconds;
  for (std::size_t i = 0; i <= groups; ++i) {
    const double total = seconds_of(0, group, [&](std::size_t) { call(); });
    if (i > 0) seconds.push_back(total / static_cast<double>(group));
  }
  std::nth_element(seconds.begin(), seconds.begin() + groups / 2, seconds.end());
  return seconds[groups / 2];
}

double matmul_tflops() {
  constexpr std::int64_t n = 8192;
  const Tensor x = random_values({n, n});
  const Tensor w = random_values({n, n});
  const Tensor y = space({n, n});
  return 2. * n * n * n / median_seconds(20, [&] { cuda_ops().linear(x, w, {}, y); }) / 1e12;
}

double copy_gbytes() {
  const Tensor from = random_values({std::int64_t{2'000'000'000}});
  const Tensor to = space(from.shape());
  return 2. * static_cast<double>(from.bytes()) / median_seconds(5, [&] { copy(from, to); }) / 1e9;
}

double bus_gbytes() {
  constexpr std::int64_t count = 256'000'000;
  void* data = nullptr;
  check(cudaMallocHost(&data, count), "cudaMallocHost of 256 MB");
  const std::shared_ptr<void> pinned(data,
                                     [](void* memory) { static_cast<void>(cudaFreeHost(memory)); });
  const Tensor host = Tensor::view(data, {count}, DType::u8, DeviceKind::cpu, pinned);
  const Tensor to = space({count}, DType::u8);
  return static_cast<double>(count) / median_seconds(4, [&] { copy(host, to); }) / 1e9;
}

// Enough normals that no two tiles of a kernel hold the same; tensors whose sizes are powers of two
// differ; a multiple of 128 bytes.
constexpr std::int64_t sequence_length = 3'000'000;

const Tensor& random_sequence(DType type) {
  const auto make = [](DType wanted) {
    std::vector<float> values(sequence_length);
    philox_randn(1, 0, values);
    Tensor on_device = space({sequence_length}, wanted);
    cuda_device_api()->load(on_device.raw(), wanted, values.data(), DType::f32, sequence_length);
    return on_device;
  };
  static const Tensor as_f32 = make(DType::f32);
  static const Tensor as_bf16 = make(DType::bf16);
  WEFT_ASSERT(type == DType::f32 || type == DType::bf16, "normals as {}", dtype_name(type));
  return type == DType::f32 ? as_f32 : as_bf16;
}

void report(benchmark::State& state, const char* rate, double amount, const char* percent,
            double ceiling) {
  const double total = amount * static_cast<double>(state.iterations());
  state.counters[rate] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters[percent] = benchmark::Counter(total / ceiling * 100, benchmark::Counter::kIsRate);
}

}  // namespace

Ops& cuda_ops(Precision precision) {
  static const auto bf16 = make_cuda_ops(0, Precision::bf16);
  if (precision == Precision::bf16) return *bf16;
  WEFT_ASSERT(precision == Precision::fp8, "float32 is not measured");
  static const auto fp8 = make_cuda_ops(0, Precision::fp8);
  return *fp8;
}

const Ceilings& ceilings() {
  static const Ceilings measured{matmul_tflops(), copy_gbytes(), bus_gbytes()};
  return measured;
}

Tensor random_values(const Shape& shape, DType type) {
  static std::int64_t at = 0;  // in the sequence
  const Tensor& sequence = random_sequence(type);
  const Tensor x = space(shape, type);
  const Tensor flat = x.reshape({x.numel()});
  for (std::int64_t done = 0; done < x.numel();) {
    const std::int64_t count = std::min(x.numel() - done, sequence_length - at);
    copy(sequence.slice(at, at + count), flat.slice(done, done + count));
    done += count;
    at = (at + count) % sequence_length;
  }
  return x;
}

Tensor space(const Shape& shape, DType type) {
  return Tensor::empty(shape, type, DeviceKind::cuda);
}

std::size_t sets_beyond_cache(std::size_t bytes) {
  static const std::size_t cache = [] {
    int device = 0;
    int size = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&size, cudaDevAttrL2CacheSize, device), "cudaDeviceGetAttribute");
    return static_cast<std::size_t>(size);
  }();
  return 1 + 3 * cache / bytes;
}

void by_events(benchmark::internal::Benchmark* b) {
  b->UseManualTime()->Unit(benchmark::kMicrosecond);
}

void time_calls(benchmark::State& state, std::size_t sets,
                const std::function<void(std::size_t)>& call) {
  // Long enough that the first call, which the GPU waits for, does not show.
  constexpr double batch_seconds = 4e-3;
  constexpr double most_calls = 1000;
  try {
    // Every set's weights are prepared, plans and algorithms chosen, memory is in the pool.
    const std::size_t warm_up = std::max<std::size_t>(sets, 3);
    seconds_of(0, warm_up, call);
    const double expected = seconds_of(0, warm_up, call) / static_cast<double>(warm_up);
    const auto batch =
        static_cast<std::size_t>(std::clamp(std::ceil(batch_seconds / expected), 1., most_calls));
    std::size_t next = 0;
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(batch))) {
      state.SetIterationTime(seconds_of(next, batch, call));
      next += batch;
    }
  } catch (const Error& e) {
    state.SkipWithError(e.what());
  }
}

void report_flops(benchmark::State& state, double flops) {
  report(state, "TFLOP/s", flops / 1e12, "percent_of_matmul", ceilings().matmul_tflops);
}

void report_bytes(benchmark::State& state, std::initializer_list<Tensor> moved) {
  double bytes = 0;
  for (const Tensor& t : moved) bytes += static_cast<double>(t.bytes());
  report(state, "GB/s", bytes / 1e9, "percent_of_copy", ceilings().copy_gbytes);
}

void report_host_bytes(benchmark::State& state, const Tensor& host) {
  report(state, "GB/s", static_cast<double>(host.bytes()) / 1e9, "percent_of_bus",
         ceilings().bus_gbytes);
}

}  // namespace weft::bench
