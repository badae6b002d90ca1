#pragma once
// The JSON header of a safetensors file: parsed and checked without touching the tensor data.

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "weft/base/shape.h"

namespace weft {

/// What is wrong with a file, without its name: the caller adds that.
struct FormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Args>
[[noreturn]] void refuse_file(fmt::format_string<Args...> format, Args&&... args) {
  throw FormatError(fmt::format(format, std::forward<Args>(args)...));
}

struct HeaderEntry {
  std::string dtype;
  Shape shape;
  std::uint64_t begin;  // bytes from the start of the data
  std::uint64_t end;
};

inline constexpr std::uint64_t max_header_bytes = 100'000'000;  // the format's own limit

/// Size of an element, 0 for a name that the format does not know.
std::size_t stored_dtype_size(std::string_view dtype);

/// Checks every rule for the header and for the ranges it names; `data_bytes` is what the file
/// holds after the header.
std::map<std::string, HeaderEntry> parse_safetensors_header(std::string_view json,
                                                            std::uint64_t data_bytes);

}  // namespace weft
