#include "batch_progress.h"

namespace weft {

void LeaseProgress::begin(Stage stage, std::int64_t total, const char* unit) {
  stage_ = stage;
  total_ = total;
  done_ = 0;
  first_ = -1;
  begin_ = now_seconds();
  tell();
  shown_.begin(stage, total, unit);
}

void LeaseProgress::advance(std::int64_t units) {
  done_ += units;
  // What the first call brings may be an earlier run's steps.
  if (first_ < 0) first_ = stage_ == Stage::denoise ? done_ : 0;
  tell();
  shown_.advance(units);
}

void LeaseProgress::tell() {
  LeaseStatus status{
      .state = stage_name(stage_), .step = done_, .steps = total_, .eta_seconds = -1};
  const std::int64_t made = done_ - first_;
  if (first_ >= 0 && made > 0) {
    const double each = (now_seconds() - begin_) / static_cast<double>(made);
    const bool denoise = stage_ == Stage::denoise;
    const double after = denoise ? after_denoise_ * static_cast<double>(total_) : 0;
    status.eta_seconds = each * (static_cast<double>(total_ - done_) + after);
  }
  lease_.set_status(std::move(status));
}

}  // namespace weft
