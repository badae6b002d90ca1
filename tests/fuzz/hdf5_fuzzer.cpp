// An HDF5 file: as `weft inspect` reads a run record, then everything that can be listed, through
// every call that a checkpoint's reader has.
#include <string>

#include "weft/io/hdf5_file.h"

#include "inspect.h"
#include "sandbox.h"

/// A size out of the file that no memory could hold is refused by malloc(), as it should be.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
/// The HDF5 library itself loses some bytes when it refuses a damaged file.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace {

using namespace weft;

template <class F>
void try_it(F&& read) {
  fuzz::only_errors([&] { static_cast<void>(read()); });
}

void read_below(const Hdf5Reader& file, const std::string& where, int depth, int& left) {
  if (depth > 5 || --left < 0) return;  // hard links may make circles
  const auto read_all = [&] {
    for (const std::string& name : file.attributes(where)) {
      try_it([&] { return file.attribute_text(where, name); });
      try_it([&] { return file.attribute_number(where, name); });
    }
    return 0;
  };
  try_it(read_all);
  try_it([&] { return file.shape(where); });
  try_it([&] { return file.numbers(where); });
  try_it([&] { return file.strings(where); });
  try_it([&] { return file.tensor(where); });
  std::vector<std::string> names;
  try_it([&] { return names = file.children(where); });
  for (const std::string& name : names) {
    read_below(file, (where == "/" ? "" : where) + "/" + name, depth + 1, left);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = fuzz::write("x.h5", fuzz::text_of(data, size));
  try_it([&] { return inspect(path); });
  fuzz::only_errors([&] {
    const Hdf5Reader file(path);
    int left = 100;
    read_below(file, "/", 0, left);
  });
  return 0;
}
