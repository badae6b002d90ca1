#pragma once
// How far a job is, for whoever looks at the folder: every group's rank 0 writes it into its lease.

#include <memory>

#include "weft/render/renderer.h"
#include "weft/run/lease.h"

namespace weft {

class LeaseProgress final : public Progress {
 public:
  /// `after_denoise`: what decoding takes, as a share of what denoising takes. Both outlive this.
  LeaseProgress(Lease& lease, Progress& shown, double after_denoise)
      : lease_(lease), shown_(shown), after_denoise_(after_denoise) {}
  void begin(Stage stage, std::int64_t total, const char* unit) override;
  void advance(std::int64_t units) override;
  void end() override { shown_.end(); }

 private:
  void tell();

  Lease& lease_;
  Progress& shown_;
  double after_denoise_;
  Stage stage_ = Stage::load;
  std::int64_t total_ = 0, done_ = 0, first_ = 0;
  double begin_ = 0;
};

/// Shows nothing: of several groups only one could draw its bar.
class NoProgress final : public Progress {
 public:
  void begin(Stage /*stage*/, std::int64_t /*total*/, const char* /*unit*/) override {}
  void advance(std::int64_t /*units*/) override {}
  void end() override {}
};

}  // namespace weft
