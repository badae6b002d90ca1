#pragma once
// What every fuzz target promises: a parser may only return or throw weft's own errors, and opens
// no file outside the folder that it was given, and starts no program.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

namespace weft::fuzz {

/// A folder in memory for this process, made on the first call and removed when the process ends.
const std::filesystem::path& folder();

/// The file `name` in folder() with these bytes; its parent folders are made.
std::filesystem::path write(const std::filesystem::path& name, std::string_view bytes);

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Runs `parse`. weft::Error is an answer; a broken invariant ("bug in weft") and any other
/// exception is a finding, and so is a file opened outside folder() and the repository's own test
/// data.
void only_errors(const std::function<void()>& parse);

}  // namespace weft::fuzz
