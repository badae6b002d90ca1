#pragma once
// A file mapped for reading.
//
// A mapped file that somebody shortens, or whose storage fails, makes the reader of a lost page
// receive SIGBUS. There is no way on from there, but a way to say which file it was: while one is
// mapped, a handler of that signal writes one line with the file's name to stderr and ends the
// process with exit code 1. Signals for any other address go where they went before.

#include <cstddef>
#include <filesystem>

#include "weft/io/file_stamp.h"

struct stat;

namespace weft {

FileStamp stamp_of(const struct stat& status);

class MappedFile {
 public:
  /// InputError: cannot be opened, is no regular file, or empty.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const std::byte* data() const { return static_cast<const std::byte*>(map_); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Of the very file that is mapped, whatever bears its name now.
  [[nodiscard]] const FileStamp& stamp() const { return stamp_; }

 private:
  void* map_ = nullptr;
  std::size_t bytes_ = 0;
  FileStamp stamp_;
};

}  // namespace weft
