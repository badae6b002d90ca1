#pragma once
// A file is either whole under its final name or not there at all: it is written under a temporary
// name in the same folder, brought to the disk, and only then renamed.

#include <filesystem>
#include <string_view>

namespace weft {

class AtomicPath {
 public:
  /// Error when the folder does not exist or `final_path` is a folder. Creates nothing yet.
  explicit AtomicPath(std::filesystem::path final_path);
  ~AtomicPath();  // without commit(): removes the temporary file; never throws
  AtomicPath(const AtomicPath&) = delete;
  AtomicPath& operator=(const AtomicPath&) = delete;

  /// Where to write: ".NAME.PID.tmp" and NAME's extension, beside the final path.
  [[nodiscard]] const std::filesystem::path& temporary() const { return temporary_; }
  [[nodiscard]] const std::filesystem::path& final_path() const { return final_; }

  /// To be called when the writer has closed the temporary file: fsync, rename, fsync the folder.
  /// `previous`: the name that the file which has the final name now is given at that moment; "":
  /// it goes. Error: path and cause; the file that had the final name before is then still intact.
  void commit(const std::filesystem::path& previous = {});

 private:
  std::filesystem::path final_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

/// A whole file of text, or none. Error: path and cause.
void write_text_file(const std::filesystem::path& path, std::string_view text);

/// Removes what writers of this file that were killed have left beside it. Only for whoever alone
/// may write it now; never throws.
void remove_unfinished(const std::filesystem::path& final_path);

}  // namespace weft
