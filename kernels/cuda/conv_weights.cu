// Reorders convolution weights, once per weight: speed does not matter here.
#include <map>
#include <tuple>

#include "check.h"
#include "conv_weights.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

// What Storage::prepared points to: one entry per view of the storage used as weights.
struct PreparedWeights {
  using Key = std::tuple<const std::byte*, std::int64_t, std::int64_t, std::int64_t>;
  std::map<Key, Tensor> entries;
};

// packed[o, tap C + c] = w[o, c, tap]; one thread per element of packed.
template <class T>
__global__ void pack(const T* w, T* packed, std::int64_t count, int row_length, int channels,
                     int taps) {
  const std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (i >= count) return;
  const std::int64_t o = i / row_length;
  const int k = static_cast<int>(i % row_length);
  const int tap = k / channels;
  const int c = k % channels;
  packed[i] = tap < taps ? w[(o * channels + c) * taps + tap] : from_float<T>(0);
}

}  // namespace

Tensor packed_conv_weights(const Tensor& w, const ConvShape& s) {
  const Shape rows{s.outputs, s.row_length()};
  const bool is_packed = s.taps() == 1 && s.row_length() == s.channels && is_aligned(w, 16);
  if (is_packed) return w.reshape(rows);

  auto& slot = w.storage()->prepared;
  if (slot == nullptr) slot = std::make_shared<PreparedWeights>();
  auto& entries = static_cast<PreparedWeights*>(slot.get())->entries;
  Tensor& packed = entries[{w.raw(), s.outputs, s.taps(), s.channels}];
  if (packed.defined()) return packed;

  packed = Tensor::empty(rows, w.dtype(), DeviceKind::cuda);
  const std::int64_t count = packed.numel();
  by_type(w.dtype(), [&](auto type) {
    using T = decltype(type);
    pack<<<blocks_for(count, 256), 256, 0, cuda_stream()>>>(elements<T>(w), elements<T>(packed),
                                                            count, to_int(s.row_length()),
                                                            to_int(s.channels), to_int(s.taps()));
  });
  check_launch("pack of convolution weights");
  return packed;
}

}  // namespace weft::cuda
