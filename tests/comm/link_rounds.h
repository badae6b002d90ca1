#pragma once
// Messages from every rank of a link to every other, round after round. Every value tells its
// sender, its receiver, its round and its place.

#include <algorithm>
#include <vector>

#include "weft/comm/fabric.h"

namespace weft::test {

using Messages = std::vector<TensorMessage>;

inline std::int32_t value(int from, int to, int round, std::int64_t i) {
  return static_cast<std::int32_t>(((from * 16 + to) * 16 + round) * 100000 + i);
}

/// Uneven, and empty between some pairs in some rounds.
inline std::int64_t length(int from, int to, int round) {
  if ((from * 5 + to * 3 + round) % 4 == 0) return 0;
  return 1 + (from * 7919 + to * 104729 + round) % 3001;
}

inline Tensor outgoing(int from, int to, int round) {
  const Tensor t = Tensor::empty({length(from, to, round)}, DType::i32);
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    t.data<std::int32_t>()[i] = value(from, to, round, i);
  }
  return t;
}

struct Round {
  Messages sends, receives;
};

inline Round make_round(const TensorLink& link, int round, DeviceKind device = DeviceKind::cpu) {
  Round made;
  for (int i = 1; i < link.size(); ++i) {
    const int to = (link.rank() + i) % link.size();
    const int from = (link.rank() + link.size() - i) % link.size();
    made.sends.push_back({outgoing(link.rank(), to, round).to(device), to});
    const Tensor space = Tensor::empty({length(from, link.rank(), round)}, DType::i32);
    std::ranges::fill(space.span<std::int32_t>(), -1);
    made.receives.push_back({space.to(device), from});
  }
  return made;
}

/// How many elements of a message that has arrived are not what its sender sent.
inline std::int64_t wrong_values(const TensorLink& link, const TensorMessage& message, int round) {
  const Tensor got = message.data.to(DeviceKind::cpu);
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < got.numel(); ++i) {
    if (got.data<std::int32_t>()[i] != value(message.peer, link.rank(), round, i)) ++wrong;
  }
  return wrong;
}

/// Where each rank's rows of a shared tensor begin: uneven, some ranks have none.
inline std::vector<std::int64_t> uneven_begins(int ranks) {
  std::vector<std::int64_t> begins{0};
  for (int r = 0; r < ranks; ++r) begins.push_back(begins.back() + (r % 3 == 1 ? 0 : 3 + r));
  return begins;
}

/// A tensor [rows, 5] with this rank's rows filled in: elements count from 0; the others are -1.
inline Tensor own_rows(const TensorLink& link, const std::vector<std::int64_t>& begins,
                       DeviceKind device = DeviceKind::cpu) {
  const Tensor whole = Tensor::empty({begins.back(), 5}, DType::i32);
  const auto me = static_cast<std::size_t>(link.rank());
  for (std::int64_t i = 0; i < whole.numel(); ++i) {
    const bool mine = i >= 5 * begins[me] && i < 5 * begins[me + 1];
    whole.data<std::int32_t>()[i] = mine ? static_cast<std::int32_t>(i) : -1;
  }
  return whole.to(device);
}

inline std::int64_t wrong_rows(const Tensor& whole) {
  const Tensor got = whole.to(DeviceKind::cpu);
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < got.numel(); ++i) {
    if (got.data<std::int32_t>()[i] != static_cast<std::int32_t>(i)) ++wrong;
  }
  return wrong;
}

}  // namespace weft::test
