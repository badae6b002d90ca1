#pragma once
// Hands checked weights to a model under construction. The same constructor code serves two uses:
// `check` only compares names and shapes (before a job starts), `load` also converts and copies.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weft/base/error.h"
#include "weft/io/safetensors.h"

namespace weft {

class WeightSource {
 public:
  enum class Mode { check, load };
  /// `component`: "transformer", "vae", ... as in the folder, for messages.
  WeightSource(const TensorFiles& files, std::string component, Mode mode, DeviceKind device);

  /// Tensor `name` as float32 on the device, of exactly `shape`. Missing or wrong-shaped tensors
  /// are recorded and an undefined Tensor is returned; in check mode it is always undefined.
  Tensor take(const std::string& name, const Shape& shape);
  /// The stored bytes themselves, under either of two names, for a table of which only a few rows
  /// are used; nullptr when it is missing or wrong (recorded). Valid as long as the TensorFiles
  /// live.
  const StoredTensor* take_stored(const std::string& name, const std::string& alias,
                                  const Shape& shape);
  [[nodiscard]] bool has(const std::string& name) const { return files_.find(name) != nullptr; }
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
  /// Bytes of the float32 tensors handed out.
  [[nodiscard]] std::size_t bytes_loaded() const { return bytes_loaded_; }

 private:
  const StoredTensor* checked(const std::string& name, const Shape& shape);

  const TensorFiles& files_;
  std::string component_;
  Mode mode_;
  DeviceKind device_;
  std::set<std::string> seen_;
  std::vector<std::string> ignored_prefixes_;
  std::vector<Misfit> misfits_;
  std::size_t bytes_loaded_ = 0;
};

}  // namespace weft
