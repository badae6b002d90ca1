#pragma once
// Hands checked weights to a model under construction. The same constructor code serves two uses:
// `check` only compares names and shapes (before a job starts), `load` also converts and copies.

#include <set>
#include <string>
#include <vector>

#include "weft/base/error.h"
#include "weft/io/safetensors.h"

namespace weft {

class WeightSource {
 public:
  enum class Mode { check, load };
  /// `component`: "transformer", "vae", ... as in the folder, for messages.
  WeightSource(const TensorFiles& files, std::string component, Mode mode, DeviceKind device);

  /// Tensor `name` as float32 on the device, of exactly `shape`. Missing or wrong-shaped tensors are
  /// recorded and an undefined Tensor is returned; in check mode it is always undefined.
  Tensor take(const std::string& name, const Shape& shape);
  /// As take(), for a tensor that may be stored under either of two names.
  Tensor take_either(const std::string& name, const std::string& alias, const Shape& shape);
  [[nodiscard]] bool has(const std::string& name) const { return files_.find(name) != nullptr; }
  /// A name that is known and deliberately unused (so that it does not count as extra).
  void ignore(const std::string& name) { seen_.insert(name); }

  /// Adds to `problems` one entry that lists missing, wrong and extra tensors, with expected and
  /// found shapes and the likely cause.
  void report(Problems& problems) const;
  /// Throws what report() would list.
  void throw_if_wrong() const;
  [[nodiscard]] std::size_t bytes_loaded() const { return bytes_loaded_; }

 private:
  const TensorFiles& files_;
  std::string component_;
  Mode mode_;
  DeviceKind device_;
  std::set<std::string> seen_;
  std::vector<std::string> missing_, wrong_;
  std::size_t bytes_loaded_ = 0;
};

}  // namespace weft
