#pragma once
// Hands checked weights to a model under construction. The same constructor code serves three uses:
// `check` only compares names and shapes (before a job starts), `load` also converts and copies,
// and random() needs no files at all (benchmarks).

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weft/base/error.h"
#include "weft/io/safetensors.h"
#include "weft/model/weight_peers.h"
#include "weft/ops/ops.h"

namespace weft {

/// Stored tensors of at least so many bytes are read in parts by peers; below, a message costs more
/// than reading.
inline constexpr std::size_t shared_reading_bytes = std::size_t{1} << 20;

/// Where weights go and what they become there.
struct Placement {
  DeviceKind device = DeviceKind::cpu;
  DType type = DType::f32;  // of matmul and convolution weights: Ops::activation()
  /// Ranks that load the same component at the same time: of every large tensor each reads its part
  /// only. Loading is then collective. They must outlive a sharded model, not others.
  WeightPeers* peers = nullptr;
  /// Of the transformer blocks' matrices keep this rank's part only (LayerStore); needs peers.
  bool shard = false;

  Placement() = default;
  Placement(const Ops& ops, WeightPeers* among = nullptr, bool sharded = false)  // NOLINT: converts
      : device(ops.device()), type(ops.activation()), peers(among), shard(sharded) {}
  /// The same place for a component that this rank loads by itself.
  [[nodiscard]] Placement alone() const {
    Placement made = *this;
    made.peers = nullptr;
    made.shard = false;
    return made;
  }
};

/// Elements [begin, end) of a flattened tensor.
struct ElementRange {
  std::int64_t begin = 0, end = 0;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
};

class WeightSource {
 public:
  enum class Mode { check, load };
  /// `component`: "transformer", "vae", ... as in the folder, for messages.
  WeightSource(const TensorFiles& files, std::string component, Mode mode,
               const Placement& placement = {});
  /// Weights of whatever shape is asked for, drawn at random: matrices with variance 1 / fan-in,
  /// factors of norms near 1, biases near 0. For timing models whose files are not at hand.
  static WeightSource random(std::string component, const Placement& placement);

  /// Tensor `name` on the device, of exactly `shape`, as the placement's type (take) or as float32
  /// (take_f32: norms, tables, the time embedding, which stay float32 in every precision). Missing
  /// or wrong-shaped tensors are recorded and an undefined Tensor is returned; in check mode it is
  /// always undefined.
  Tensor take(const std::string& name, const Shape& shape);
  Tensor take_f32(const std::string& name, const Shape& shape);
  /// take() of several tensors of one shape, evenly spaced in one allocation where the device has a
  /// batched matmul (Ops::linear_group); on the CPU each has storage of its own.
  std::vector<Tensor> take_group(std::span<const std::string> names, const Shape& shape);
  /// take() into given space of that shape and of the placement's type; `to` is undefined in check
  /// mode. False where take() would return an undefined Tensor.
  bool take_into(const std::string& name, const Shape& shape, const Tensor& to);
  /// As take_into(), but only elements `part` of the flattened tensor into `to` [part.size()], and
  /// without peers: each rank takes what it wants. Nothing else of the file is read.
  bool take_part(const std::string& name, const Shape& shape, ElementRange part, const Tensor& to);
  /// The stored bytes themselves, under either of two names, for a table of which only a few rows
  /// are used; nullptr when it is missing or wrong (recorded). Valid as long as the TensorFiles
  /// (or the random source) live.
  const StoredTensor* take_stored(const std::string& name, const std::string& alias,
                                  const Shape& shape);
  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] const Placement& placement() const { return placement_; }
  [[nodiscard]] bool has(const std::string& name) const {
    return files_ == nullptr || files_->find(name) != nullptr;
  }
  /// A name that is known and deliberately unused (so that it does not count as extra).
  void ignore(const std::string& name) { seen_.insert(name); }
  /// As ignore(), for every name that begins so (the half of an autoencoder that is not built).
  void ignore_prefix(std::string_view prefix) { ignored_prefixes_.emplace_back(prefix); }

  /// A tensor that does not fit: absent, of another shape, or of a type that is not a float.
  struct Misfit {
    std::string name;
    Shape want;
    const StoredTensor* found;  // nullptr: absent
  };
  [[nodiscard]] const std::vector<Misfit>& misfits() const { return misfits_; }
  /// Stored tensors that nobody took or ignored, sorted.
  [[nodiscard]] std::vector<std::string> extras() const;

  /// Adds to `problems` one entry that lists missing, wrong and extra tensors, with expected and
  /// found shapes and the likely cause.
  void report(Problems& problems) const;
  /// Throws what report() would list.
  void throw_if_wrong() const;
  /// Bytes of the tensors handed out.
  [[nodiscard]] std::size_t bytes_loaded() const { return bytes_loaded_; }
  /// Bytes of the files that this rank has read for them.
  [[nodiscard]] std::size_t bytes_read() const { return bytes_read_; }

 private:
  WeightSource(std::string component, const Placement& placement)
      : component_(std::move(component)), mode_(Mode::load), placement_(placement) {}
  const StoredTensor* checked(const std::string& name, const Shape& shape);
  Tensor take_as(const std::string& name, const Shape& shape, DType type);
  /// Writes elements `part` of a stored tensor into `to` [part.size()], as the type of `to`.
  void read(const StoredTensor& stored, ElementRange part, const Tensor& to);
  /// All of a stored tensor, by this rank or together with its peers.
  void read_whole(const StoredTensor& stored, const Tensor& to);

  const TensorFiles* files_ = nullptr;  // none: random
  std::string component_;
  Mode mode_;
  Placement placement_;
  std::vector<std::unique_ptr<StoredTensor>> random_tables_;
  std::vector<Tensor> random_values_;  // of random_tables_
  std::set<std::string> seen_;
  std::vector<std::string> ignored_prefixes_;
  std::vector<Misfit> misfits_;
  std::size_t bytes_loaded_ = 0, bytes_read_ = 0;
};

}  // namespace weft
