// The store of layers against the files, whole and shared out among threads that play the ranks.
#include "weft/model/layer_store.h"

#include <barrier>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "weft/base/rng.h"

#include "support/temp_folder.h"

namespace weft {
namespace {

using test::TempFolder;
using Mode = WeightSource::Mode;

/// What threads that play ranks share: where the parts of each gather lie.
struct Board {
  explicit Board(int size) : meeting(size), places(static_cast<std::size_t>(size)) {}
  std::barrier<> meeting;
  std::vector<std::vector<Tensor>> places;  // by rank and gather
};

/// Parts arrive in finish() and not before, as late as a network may bring them; until then they
/// are rubbish.
class ThreadPeers final : public WeightPeers {
 public:
  ThreadPeers(Board& board, int rank) : board_(board), rank_(rank) {}
  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return static_cast<int>(board_.places.size()); }
  [[nodiscard]] std::unique_ptr<Pending> start_gather(
      const Tensor& flat, std::span<const std::int64_t> begins) override {
    auto& mine = board_.places[static_cast<std::size_t>(rank_)];
    mine.push_back(flat);
    return std::make_unique<Arrival>(*this, mine.size() - 1,
                                     std::vector(begins.begin(), begins.end()));
  }

 private:
  class Arrival final : public Pending {
   public:
    Arrival(ThreadPeers& peers, std::size_t number, std::vector<std::int64_t> begins)
        : peers_(peers), number_(number), begins_(std::move(begins)) {
      for_others([](const Tensor& part, const Tensor&) {
        for (float& x : part.span()) x = -1e30F;
      });
    }
    ~Arrival() override { finish(); }
    Arrival(const Arrival&) = delete;
    Arrival& operator=(const Arrival&) = delete;
    void finish() override {
      if (finished_) return;
      finished_ = true;
      peers_.board_.meeting.arrive_and_wait();  // everyone has started this gather
      for_others([](const Tensor& part, const Tensor& theirs) { copy(theirs, part); });
      peers_.board_.meeting.arrive_and_wait();  // everyone has what it needs of this rank's part
    }

   private:
    template <class F>
    void for_others(F&& f) {
      for (int r = 0; r < peers_.size(); ++r) {
        const auto rank = static_cast<std::size_t>(r);
        if (r == peers_.rank_) continue;
        const auto& all = peers_.board_.places[rank];
        const Tensor& mine = peers_.board_.places[static_cast<std::size_t>(peers_.rank_)][number_];
        const auto part = [&](const Tensor& t) {
          return t.slice(begins_[rank], begins_[rank + 1]);
        };
        f(part(mine), finished_ ? part(all[number_]) : Tensor{});
      }
    }
    ThreadPeers& peers_;
    std::size_t number_;
    std::vector<std::int64_t> begins_;
    bool finished_ = false;
  };

  Board& board_;
  int rank_;
};

void as_ranks(int size, const std::function<void(WeightPeers&)>& work) {
  Board board(size);
  // A gather is entered while others may read: no vector may move.
  for (auto& places : board.places) places.reserve(1000);
  std::vector<std::jthread> threads;
  for (int r = 0; r < size; ++r) {
    threads.emplace_back([&, r] {
      ThreadPeers peers(board, r);
      work(peers);
    });
  }
}

// Sizes that neither the alignment nor a number of ranks divides.
const std::vector<LayerWeight> weights{{"q", {7, 5}, true},       {"k", {7, 5}, true},
                                       {"v", {7, 5}, true},       {"small", {1, 1}, false},
                                       {"wide", {3, 150}, false}, {"out", {67, 3}, true}};

class LayerStoreTest : public ::testing::Test {
 protected:
  void store(std::size_t layers) {
    std::map<std::string, Tensor> tensors;
    prefixes_.clear();
    for (std::size_t i = 0; i < layers; ++i) {
      prefixes_.push_back(fmt::format("blocks.{}.", i));
      for (const LayerWeight& w : weights) {
        const Tensor t = Tensor::empty(w.shape);
        philox_randn(i, static_cast<std::int64_t>(std::hash<std::string>()(w.name) >> 8U),
                     t.span());
        tensors.emplace(prefixes_.back() + w.name, t);
      }
    }
    write_safetensors(folder_.path() / "model.safetensors", tensors);
    stored_ = std::move(tensors);
  }
  [[nodiscard]] TensorFiles files() const { return {folder_.path(), "model"}; }

  void expect_layer(const std::vector<Tensor>& found, std::size_t layer,
                    const std::string& what) const {
    ASSERT_EQ(found.size(), weights.size());
    for (std::size_t w = 0; w < weights.size(); ++w) {
      const Tensor& want = stored_.at(prefixes_[layer] + weights[w].name);
      ASSERT_EQ(found[w].shape(), want.shape());
      EXPECT_EQ(std::memcmp(found[w].raw(), want.raw(), want.bytes()), 0)
          << what << ", layer " << layer << ", " << weights[w].name;
      EXPECT_EQ(found[w].storage()->reducible, weights[w].reducible);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(found[w].raw()) % 64, 0U);
    }
    EXPECT_EQ(found[1].raw() - found[0].raw(), found[2].raw() - found[1].raw());
  }

  TempFolder folder_;
  std::vector<std::string> prefixes_;
  std::map<std::string, Tensor> stored_;
};

// Would catch wrong offsets, and a store that copies or drops what a backend prepared.
TEST_F(LayerStoreTest, WholeLayersAreTheStoredOnesAndCostNothingElse) {
  store(3);
  const TensorFiles stored = files();
  WeightSource source(stored, "transformer", Mode::load);
  LayerStore layers(source, prefixes_, weights);
  source.throw_if_wrong();
  EXPECT_FALSE(layers.sharded());
  const Tensor first = layers.fetch(0, 1)[0];
  first.storage()->prepared = std::make_shared<int>(1);
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < 3; ++i) expect_layer(layers.fetch(i, (i + 1) % 3), i, "whole");
  }
  EXPECT_EQ(layers.fetch(0, 1)[0].storage(), first.storage());
  EXPECT_NE(first.storage()->prepared, nullptr);
  EXPECT_EQ(layers.peak_bytes(), 3 * layers.slab_bytes());
}

// Would catch a layer handed out before it is there, a slab filled while its layer is in use, a
// share cut in the wrong place, and too much memory.
TEST_F(LayerStoreTest, SharedLayersAreTheSameBits) {
  for (const std::size_t layers : {1U, 2U, 3U, 6U}) {
    store(layers);
    for (const int ranks : {1, 2, 3, 4, 7}) {
      const std::string what = fmt::format("{} layers, {} ranks", layers, ranks);
      const TensorFiles stored = files();
      std::atomic<std::size_t> shares = 0;
      std::atomic<std::size_t> read = 0;
      std::size_t slab = 0;
      as_ranks(ranks, [&](WeightPeers& peers) {
        Placement placement;
        placement.peers = &peers;
        placement.shard = true;
        WeightSource source(stored, "transformer", Mode::load, placement);
        LayerStore all(source, prefixes_, weights);
        source.throw_if_wrong();
        EXPECT_EQ(all.sharded(), ranks > 1);
        shares += all.bytes();
        read += source.bytes_read();
        for (int round = 0; round < 3; ++round) {
          for (std::size_t i = 0; i < layers; ++i) {
            const std::size_t next = (i + 1) % layers;
            expect_layer(all.fetch(i, next), i, what);
          }
        }
        const std::size_t slabs = ranks == 1 ? 0 : std::min<std::size_t>(2, layers);
        EXPECT_EQ(all.bytes(), all.peak_bytes()) << what;
        EXPECT_LE(all.peak_bytes(), ranks == 1 ? layers * all.slab_bytes()
                                               : layers * (all.slab_bytes() / peers.size() + 256) +
                                                     slabs * all.slab_bytes())
            << what;
        all.release();
        if (peers.rank() == 0) slab = all.slab_bytes();
      });
      EXPECT_EQ(shares, layers * slab) << what;
      EXPECT_EQ(read, stored.total_bytes()) << what << ": every byte is read by one rank only";
    }
  }
}

// Would catch fp8 copies or packed weights of one layer used for another.
TEST_F(LayerStoreTest, WhatABackendPreparedGoesWithTheContents) {
  store(3);
  const TensorFiles stored = files();
  as_ranks(2, [&](WeightPeers& peers) {
    Placement placement;
    placement.peers = &peers;
    placement.shard = true;
    WeightSource source(stored, "transformer", Mode::load, placement);
    LayerStore layers(source, prefixes_, weights);
    for (std::size_t i = 0; i < 9; ++i) {
      for (const Tensor& t : layers.fetch(i % 3, (i + 1) % 3)) {
        EXPECT_EQ(t.storage()->prepared, nullptr) << "fetch " << i;
        t.storage()->prepared = std::make_shared<int>(1);
      }
    }
    // The same layer again is the same contents: what was prepared stays.
    EXPECT_NE(layers.fetch(2, 2)[0].storage()->prepared, nullptr);
    layers.release();
    EXPECT_LT(layers.bytes(), 2 * layers.slab_bytes());
    expect_layer(layers.fetch(1, 1), 1, "after release");
  });
}

// Layers out of order, or not prefetched, or prefetched and not used, are slower but right.
TEST_F(LayerStoreTest, AnyOrderIsRight) {
  store(5);
  const TensorFiles stored = files();
  as_ranks(3, [&](WeightPeers& peers) {
    Placement placement;
    placement.peers = &peers;
    placement.shard = true;
    WeightSource source(stored, "transformer", Mode::load, placement);
    LayerStore layers(source, prefixes_, weights);
    std::size_t layer = 0;
    for (std::size_t step = 0; step < 40; ++step) {
      layer = (layer * 3 + step) % 5;
      expect_layer(layers.fetch(layer, (layer + step) % 5), layer, fmt::format("step {}", step));
    }
  });
}

TEST_F(LayerStoreTest, RandomWeightsAreTheSameInShares) {
  const std::vector<std::string> prefixes{"a.", "b."};
  WeightSource whole_source = WeightSource::random("transformer", Placement{});
  LayerStore whole(whole_source, prefixes, weights);
  as_ranks(3, [&](WeightPeers& peers) {
    Placement placement;
    placement.peers = &peers;
    placement.shard = true;
    WeightSource source = WeightSource::random("transformer", placement);
    LayerStore shared(source, prefixes, weights);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& found = shared.fetch(i, i);
      // Whole: any thread may read.
      for (std::size_t w = 0; w < weights.size(); ++w) {
        const Tensor want = whole.fetch(i, i)[w];
        EXPECT_EQ(std::memcmp(found[w].raw(), want.raw(), want.bytes()), 0) << weights[w].name;
      }
    }
  });
}

TEST_F(LayerStoreTest, MisfitsAreReportedInEveryMode) {
  store(1);
  const TensorFiles stored = files();
  for (const Mode mode : {Mode::check, Mode::load}) {
    WeightSource source(stored, "transformer", mode);
    const LayerStore layers(source, {"blocks.0.", "blocks.1."}, weights);
    EXPECT_EQ(source.misfits().size(), weights.size());
    EXPECT_THROW(source.throw_if_wrong(), InputError);
  }
}

}  // namespace
}  // namespace weft
