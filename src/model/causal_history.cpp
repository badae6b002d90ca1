#include "weft/model/causal_history.h"

namespace weft {

void LocalHistory::take(int layer, Tensor to) {
  const auto index = static_cast<std::size_t>(layer);
  if (index < frames_.size() && frames_[index].defined()) {
    copy(frames_[index], to);
  } else {
    fill_zero(to);
  }
}

void LocalHistory::put(int layer, const Tensor& last) {
  const auto index = static_cast<std::size_t>(layer);
  if (index >= frames_.size()) frames_.resize(index + 1);
  if (frames_[index].defined() && frames_[index].shape() == last.shape()) {
    copy(last, frames_[index]);
  } else {
    frames_[index] = last.clone();
  }
}

}  // namespace weft
