// Paths of a command line to records.
#include <algorithm>
#include <set>

#include "weft/scaling/report.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

/// Every *.record.h5 below, and record.h5 of numbered pictures, by name. Links to folders are not
/// followed: they may lead in a circle.
std::vector<fs::path> records_below(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry :
       fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied)) {
    const std::string name = entry.path().filename().string();
    const bool named = name == "record.h5" || name.ends_with(".record.h5");
    if (named && !name.starts_with(".") && entry.is_regular_file()) found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

class Finder {
 public:
  void add(const fs::path& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) {
      problems_.add("{}: no such file or folder", path.string());
    } else if (fs::is_directory(status)) {
      problems_.collect([&] { add_folder(path); });
    } else if (is_new(path)) {
      problems_.collect([&] { found_.records.push_back(read_run_record(path)); });
    }
  }
  FoundRecords finish() {
    problems_.throw_if_any();
    return std::move(found_);
  }

 private:
  bool is_new(const fs::path& path) {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    return seen_.insert(error ? path : real).second;
  }

  void add_folder(const fs::path& folder) {
    std::vector<fs::path> paths;
    try {
      paths = records_below(folder);
    } catch (const fs::filesystem_error& e) {
      fail_input("{}: cannot be searched: {}", folder.string(), e.code().message());
    }
    if (paths.empty()) {
      fail_input(
          "{}: no run record in it (*.record.h5): name the folder that clips were written to",
          folder.string());
    }
    Problems damaged;
    std::size_t good = 0;
    for (const fs::path& path : paths) {
      if (!is_new(path)) {
        ++good;
        continue;
      }
      damaged.collect([&] {
        found_.records.push_back(read_run_record(path));
        ++good;
      });
    }
    if (good == 0) damaged.throw_if_any();
    for (const std::string& what : damaged.list()) found_.warnings.push_back(what);
  }

  Problems problems_;
  FoundRecords found_;
  std::set<fs::path> seen_;
};

}  // namespace

FoundRecords find_records(const std::vector<fs::path>& paths) {
  Finder finder;
  for (const fs::path& path : paths) finder.add(path);
  return finder.finish();
}

}  // namespace weft
