#pragma once
// A hash that is the same everywhere and for ever: for names of folders and for telling files
// apart. Not against malice.

#include <cstdint>
#include <string_view>

namespace weft {

/// FNV-1a, 64 bits.
class Fnv {
 public:
  void add(std::string_view bytes) {
    for (const char c : bytes) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

}  // namespace weft
