#include "hdf5_handle.h"

#include <algorithm>
#include <fstream>
#include <string_view>
#include <vector>

#include "weft/base/error.h"
#include "weft/io/hdf5_file.h"

namespace weft {
namespace {

herr_t append_message(unsigned depth, const H5E_error2_t* error, void* out) {
  // The innermost messages name the cause (a checksum, a full disk), the outermost the call.
  constexpr unsigned deepest = 2;
  auto& text = *static_cast<std::string*>(out);
  if (depth > deepest || error->desc == nullptr) return 0;
  text += (text.empty() ? "" : "; ") + std::string(error->desc);
  return 0;
}

}  // namespace

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("HDF5 {}.{}.{}", major, minor, release);
}

bool hdf5_has_global_heap(const std::filesystem::path& path) {
  constexpr std::string_view start("GCOL\x01\0\0\0", 8);  // signature, version, reserved
  constexpr std::size_t kept = start.size() - 1;
  std::vector<char> block(std::size_t{1} << 20U);
  std::ifstream file(path, std::ios::binary);
  std::size_t held = 0;  // bytes of the last block in which the signature may begin
  for (;;) {
    file.read(block.data() + held, static_cast<std::streamsize>(block.size() - held));
    const std::size_t bytes = held + static_cast<std::size_t>(file.gcount());
    const std::string_view text(block.data(), bytes);
    if (text.find(start) != std::string_view::npos) return true;
    if (!file) return false;
    held = kept;
    std::copy_n(text.end() - kept, kept, block.begin());
  }
}

void hdf5_start() {
  if (H5open() < 0) fail("the HDF5 library cannot start");
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  // A file may come from anyone: it must not make the library open other files or load plugins.
  // (Unregistering twice is an error without consequence.)
  H5Lunregister(H5L_TYPE_EXTERNAL);
  H5PLset_loading_state(0);
}

std::string hdf5_error() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, &append_message, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "no reason given by HDF5" : text;
}

Hdf5Id hdf5_text_type(std::size_t bytes) {
  Hdf5Id type(H5Tcopy(H5T_C_S1), &H5Tclose);
  if (!type.valid() || H5Tset_size(type.get(), bytes + 1) < 0 ||
      H5Tset_cset(type.get(), H5T_CSET_UTF8) < 0 ||
      H5Tset_strpad(type.get(), H5T_STR_NULLTERM) < 0) {
    fail("HDF5: no string type of {} bytes: {}", bytes, hdf5_error());
  }
  return type;
}

}  // namespace weft
