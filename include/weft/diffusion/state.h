#pragma once
// What a computation under way consists of, visited in one order for saving and for loading, so
// that the two cannot disagree.

#include <string>

#include "weft/device/tensor.h"

namespace weft {

class StateVisitor {
 public:
  virtual ~StateVisitor() = default;
  /// An undefined tensor is saved as absent and loaded as undefined.
  virtual void tensor(const std::string& name, Tensor& value) = 0;
  virtual void integer(const std::string& name, int& value) = 0;
};

}  // namespace weft
