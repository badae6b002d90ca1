#pragma once
// The state of denoising between two steps, as plain values on the host: what a checkpoint holds.
// It does not depend on the number of ranks, so another number of them can go on from it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "weft/device/tensor.h"

namespace weft {

/// One window's latents and what its solver remembers.
struct WindowState {
  int window = 0;
  std::vector<std::pair<std::string, Tensor>> tensors;  // float32 on the CPU; undefined: absent
  std::vector<std::pair<std::string, int>> integers;
};

struct DenoiseState {
  int steps_done = 0;
  std::vector<WindowState> windows;  // ascending
};

/// Told after every step, on every rank of the job, whether to save or to stop. Every function is
/// collective over the job's ranks.
class Checkpoints {
 public:
  virtual ~Checkpoints() = default;
  enum class Then : std::uint8_t { go_on, save, save_and_stop };
  /// The state to go on from, known to every rank; nothing at the start.
  virtual std::optional<DenoiseState> load() = 0;
  /// `done` of `total` steps are done. The same answer on every rank. After the last step: save, so
  /// that an interrupted decoding need not denoise again, or go_on.
  virtual Then after_step(int done, int total) = 0;
  /// `mine`: the windows that this rank answers for (each window on one rank). Returns when the
  /// values have been taken; writing goes on beside the computation.
  virtual void save(DenoiseState mine) = 0;
};

/// Thrown on every rank by denoise() after save_and_stop has been obeyed.
class Stopped : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "stopped after a checkpoint"; }
};

}  // namespace weft
