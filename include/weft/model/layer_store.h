#pragma once
// The matrices of a stack of like layers, kept whole or in shares.
//
// Those of one layer lie in one allocation, its slab. Whole: every layer has a slab of its own, and
// fetch() only hands out what is there. Sharded among N peers: this rank keeps a contiguous N-th of
// each slab's bytes, and two slabs in which layers are made complete in turn: while one is computed
// with, the next is gathered into the other. What a rank keeps is read from the files and nothing
// else. Values are the same bits either way.
//
// What a backend derives from a weight (Storage::prepared) goes when the slab is filled anew. On
// CUDA that is the fp8 copy, cheap to make again; the CPU packs a layer's weights again at every
// use, which is slow.

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "weft/model/weight_source.h"

namespace weft {

/// One matrix that every layer has.
struct LayerWeight {
  std::string name;  // behind the layer's own prefix
  Shape shape;
  bool reducible = false;  // Storage::reducible
};

class LayerStore {
 public:
  /// Layer i's weight w is stored as prefixes[i] + weights[w].name. Takes them from `source` as its
  /// placement says: sharded when it says `shard` and there are several peers, which must then
  /// outlive the store. Weights listed one after the other with the same shape are evenly spaced in
  /// the slab (Ops::linear_group). Collective over the placement's peers, if any.
  LayerStore(WeightSource& source, const std::vector<std::string>& prefixes,
             std::vector<LayerWeight> weights);
  ~LayerStore();
  LayerStore(const LayerStore&) = delete;
  LayerStore& operator=(const LayerStore&) = delete;

  /// The weights of `layer`, in the order they were listed, valid until the fetch after next.
  /// Sharded: also starts to gather `next` (the layer itself: nothing), so that it is there when it
  /// is fetched. Collective then: the peers fetch the same layers in the same order. Waits for
  /// nothing but a gather, and on CUDA only in the order of the stream.
  const std::vector<Tensor>& fetch(std::size_t layer, std::size_t next);
  /// Gives the two slabs back until the next fetch. Nothing happens when the store is whole.
  void release();

  [[nodiscard]] std::size_t layers() const { return kept_.size(); }
  [[nodiscard]] bool sharded() const { return peers_ != nullptr; }
  /// Bytes this rank holds, and the most it has held.
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::size_t peak_bytes() const { return peak_bytes_; }
  /// Bytes of one layer.
  [[nodiscard]] std::size_t slab_bytes() const;

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  struct Slot {
    std::size_t layer = none;
    Tensor slab;
    std::vector<Tensor> views;
    std::unique_ptr<WeightPeers::Pending> gathering;
  };

  void lay_out();
  void take_whole(WeightSource& source, const std::string& prefix);
  void take_share(WeightSource& source, const std::string& prefix);
  [[nodiscard]] std::vector<Tensor> views_of(const Tensor& slab) const;
  /// The slot that holds `layer` or is being filled with it; nullptr when none is.
  Slot* slot_of(std::size_t layer);
  void start(std::size_t layer, Slot& slot);
  static void finish(Slot& slot);

  std::vector<LayerWeight> weights_;
  DType type_;
  DeviceKind device_;
  WeightPeers* peers_ = nullptr;       // sharded among these
  std::vector<std::int64_t> offsets_;  // elements, by weight
  std::int64_t slab_elements_ = 0;
  std::vector<std::int64_t> begins_;        // elements, by peer, and the end
  std::vector<Tensor> kept_;                // by layer: its slab, or this rank's share of it
  std::vector<std::vector<Tensor>> whole_;  // by layer, unless sharded
  std::array<Slot, 2> slots_;
  std::size_t recent_ = 1;  // the slot fetched last
  std::size_t peak_bytes_ = 0;
};

}  // namespace weft
