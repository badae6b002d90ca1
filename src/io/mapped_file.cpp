#include "mapped_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/base/error.h"

#include "mapped_faults.h"

namespace weft {
namespace {

/// An open file that closes itself.
class OpenFile {
 public:
  // Without O_NONBLOCK a named pipe would make the open wait for a writer for ever.
  explicit OpenFile(const std::filesystem::path& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const OpenFile file(path);
  if (file.get() < 0) fail_input("{}: cannot open: {}", path.string(), std::strerror(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    fail_input("{}: cannot stat: {}", path.string(), std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) fail_input("{}: not a regular file", path.string());
  stamp_ = stamp_of(status);
  bytes_ = static_cast<std::size_t>(status.st_size);
  if (bytes_ == 0) fail_input("{}: the file is empty; is the download complete?", path.string());
  map_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (map_ == MAP_FAILED) {
    fail("{}: cannot map {} bytes: {}", path.string(), bytes_, std::strerror(errno));
  }
  name_faults(map_, bytes_, path.string());
}

MappedFile::~MappedFile() {
  forget_faults(map_);
  ::munmap(map_, bytes_);
}

}  // namespace weft
