#pragma once
// Ranks that hold the same weights: each reads or keeps a part of them, and they hand each other
// their parts, so that N ranks neither read a file N times nor keep it N times. The model knows
// only this interface.

#include <cstdint>
#include <memory>
#include <span>

#include "weft/device/tensor.h"

namespace weft {

class WeightPeers {
 public:
  virtual ~WeightPeers() = default;
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;

  /// A gather under way. Destroyed unfinished it finishes itself.
  class Pending {
   public:
    virtual ~Pending() = default;
    /// From here on, in the order of the device's stream, every rank holds all elements.
    virtual void finish() = 0;
  };
  /// `flat` [n]: rank r holds elements [begins[r], begins[r + 1]), begins[0] = 0 and
  /// begins[size] = n. Nobody may touch `flat` before finish(). Collective: the ranks start the
  /// same gathers in the same order.
  [[nodiscard]] virtual std::unique_ptr<Pending> start_gather(
      const Tensor& flat, std::span<const std::int64_t> begins) = 0;
  /// Both at once.
  void gather(const Tensor& flat, std::span<const std::int64_t> begins) {
    start_gather(flat, begins)->finish();
  }
};

}  // namespace weft
