// A sender and a receiver that agree on nothing but MailboxSize: what is read where it landed must
// still be there when it is let go, and both must come to the end.
#include "cuda/mailbox_size.h"

#include <deque>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace weft {
namespace {

constexpr std::size_t megabyte = std::size_t{1} << 20;

struct Message {
  int id;
  std::size_t bytes;
};

/// Slots of one mailbox with the two counters. Pieces carry their message's id.
class Simulation {
 public:
  Simulation(const MailboxSize& size, std::vector<Message> messages)
      : size_(size), messages_(std::move(messages)), content_(size.slots, -1) {}

  /// The next piece, if its slot is free.
  bool send() {
    if (next_ == messages_.size()) return false;
    const Message& m = messages_[next_];
    if (piece_ == 0) sent_ = size_.before_message(sent_, m.bytes);
    const std::uint32_t n = sent_ + 1;
    if (n > size_.slots && freed_ < n - size_.slots) return false;
    content_[size_.slot_of(n)] = m.id;
    arrived_ = sent_ = n;
    if (++piece_ == size_.pieces_of(m.bytes)) {
      piece_ = 0;
      ++next_;
    }
    return true;
  }
  struct Landing {
    std::uint32_t first, last;
    int id;
    bool free = false;
  };
  /// Where the receiver expects the next message.
  Landing expect(const Message& m) {
    const std::uint32_t before = size_.before_message(received_, m.bytes);
    received_ = before + size_.pieces_of(m.bytes);
    return {before + 1, received_, m.id};
  }
  [[nodiscard]] bool here(const Landing& l) const { return arrived_ >= l.last; }
  void expect_intact(const Landing& l) const {
    for (std::uint32_t n = l.first; n <= l.last; ++n) {
      EXPECT_EQ(content_[size_.slot_of(n)], l.id);
      EXPECT_EQ(size_.slot_of(n), size_.slot_of(l.first) + (n - l.first)) << "not consecutive";
    }
  }
  void set_freed(std::uint32_t n) { freed_ = n; }

 private:
  MailboxSize size_;
  std::vector<Message> messages_;
  std::vector<int> content_;
  std::size_t next_ = 0;
  std::uint32_t piece_ = 0, sent_ = 0, received_ = 0, arrived_ = 0, freed_ = 0;
};

// As in a ring of many ranks: a pair is held until the next one is there. Blocks differ by a token,
// other messages come in between, and the sender is as far ahead as it can be, or just not behind.
TEST(MailboxSize, PairsStayUntilTheNextOneIsThere) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const std::size_t largest = random() % (200 * megabyte) + 1;
    const MailboxSize size =
        MailboxSize::of({.landing = largest, .piece = random() % 3 * 16 * megabyte});
    ASSERT_TRUE(size.in_consecutive_slots(largest));
    std::vector<Message> messages;
    for (int id = 0; id < 60; ++id) {
      messages.push_back({id, std::max<std::size_t>(1, largest - random() % 2 * (largest / 7))});
    }
    Simulation s(size, messages);
    const bool eager = round % 2 == 0;
    std::deque<Simulation::Landing> held;
    for (std::size_t pair = 0; pair < messages.size() / 2; ++pair) {
      const auto first = s.expect(messages[2 * pair]), second = s.expect(messages[2 * pair + 1]);
      while (!s.here(second)) ASSERT_TRUE(s.send()) << "round " << round << ", pair " << pair;
      while (eager && s.send()) {
      }
      held.push_back(first);
      held.push_back(second);
      if (held.size() < 4) continue;
      for (int i = 0; i < 2; ++i) {
        s.expect_intact(held.front());
        s.set_freed(held.front().last);
        held.pop_front();
      }
    }
    for (const auto& landing : held) s.expect_intact(landing);
  }
}

TEST(MailboxSize, HasWhatItWasMadeFor) {
  const MailboxSize usual = MailboxSize::of({});
  EXPECT_EQ(usual.slots * usual.slot_bytes, device_link_peer_bytes);
  EXPECT_FALSE(usual.has({.landing = 1}));
  for (const LinkRoom& room :
       {LinkRoom{}, LinkRoom{.landing = 1}, LinkRoom{.landing = 70'000'001},
        LinkRoom{.piece = 17'000'000}, LinkRoom{.landing = 335'462'400, .piece = 40'000'000}}) {
    const MailboxSize size = MailboxSize::of(room);
    EXPECT_TRUE(size.has(room));
    EXPECT_TRUE(size.has({}));
    EXPECT_FALSE(size.has({.landing = room.landing, .piece = size.slot_bytes + 1}));
    EXPECT_FALSE(size.has({.landing = size.slots * size.slot_bytes / 4, .piece = room.piece}));
  }
}

// Messages that are longer than the mailbox go through it piece by piece.
TEST(MailboxSize, LongMessagesWrapAround) {
  const MailboxSize usual = MailboxSize::of({});
  EXPECT_EQ(usual.before_message(3, 2 * usual.slot_bytes), 3U);
  EXPECT_EQ(usual.before_message(3, usual.slot_bytes), 3U);
  const MailboxSize wide = MailboxSize::of({.landing = 2 * usual.slot_bytes});
  EXPECT_EQ(wide.slots, 10U);
  EXPECT_EQ(wide.before_message(8, 2 * wide.slot_bytes), 8U);
  EXPECT_EQ(wide.before_message(9, 2 * wide.slot_bytes), 10U);
  EXPECT_EQ(wide.before_message(9, 3 * wide.slot_bytes), 9U);
}

}  // namespace
}  // namespace weft
