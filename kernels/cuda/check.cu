#include <filesystem>

#include "weft/base/error.h"

#include "check.h"

namespace weft {

void check(cudaError_t status, std::string_view what, Here here) {
  if (status == cudaSuccess) return;
  // A launch that failed earlier surfaces here too; clearing it keeps the next message honest.
  static_cast<void>(cudaGetLastError());
  const std::string file = std::filesystem::path(here.file_name()).filename().string();
  fail("{}: {} ({}) at {}:{}", what, cudaGetErrorString(status), cudaGetErrorName(status), file,
       here.line());
}

}  // namespace weft
