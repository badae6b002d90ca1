#pragma once
// What tells whether a file is still the one that was looked at before.

#include <cstdint>
#include <filesystem>
#include <string>

namespace weft {

struct FileStamp {
  std::uintmax_t bytes = 0;
  std::int64_t modified = 0;  // ns since 1970

  /// Error when the file cannot be looked at.
  static FileStamp of(const std::filesystem::path& path);
  [[nodiscard]] std::string str() const;  // "123 bytes of 2024-05-06 07:08:09 UTC"
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

}  // namespace weft
