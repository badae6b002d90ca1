// A list of jobs becomes folders, each appearing whole in one rename.
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

#include "weft/base/error.h"
#include "weft/run/queue_folder.h"

#include "lease_file.h"
#include "queue_folder_files.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::array priority_names = {"high", "normal", "low"};

std::string order_text(const QueueJob& job) {
  return fmt::format("priority {}\nwork {:.17g}\nindex {}\n",
                     priority_names.at(static_cast<std::size_t>(job.priority)), job.work,
                     job.index);
}

/// Not brought to the disk: add() does that once for all jobs.
void write_quickly(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) fail("cannot write {}: {}", path.string(), std::strerror(errno));
}

/// A folder with both files under the job's name; false when that is there already.
bool make_folder(const fs::path& folder, const QueueJob& job) {
  const fs::path unfinished = folder.parent_path() / (".new-" + random_token());
  std::error_code ignored;
  if (!fs::create_directory(unfinished, ignored)) {
    fail("cannot make {}: {}", unfinished.string(), ignored.message());
  }
  try {
    write_quickly(unfinished / "order", order_text(job));
    write_quickly(unfinished / "job.toml", job.text);
  } catch (...) {
    fs::remove_all(unfinished, ignored);
    throw;
  }
  if (::rename(unfinished.c_str(), folder.c_str()) == 0) return true;
  const int error = errno;
  fs::remove_all(unfinished, ignored);
  if (error == EEXIST || error == ENOTEMPTY) return false;
  fail("cannot make {}: {}", folder.string(), std::strerror(error));
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && ::access(folder.c_str(), W_OK | X_OK) != 0) {
    error = std::error_code(errno, std::generic_category());
  }
  if (error) {
    fail_input("the queue's folder {} cannot be made or written: {}; name another folder",
               folder.string(), error.message());
  }
}

}  // namespace

void QueueFolder::add_one(const QueueJob& job) const {
  const std::string rule = name_rule(job.id);
  if (!rule.empty()) fail_input("job '{}': its name {}", one_line(job.id, 200), rule);
  if (job.text.empty()) fail_input("job {}: it has no text", job.id);
  if (!std::isfinite(job.work) || job.work < 0) {
    fail_input("job {}: its work of {} operations is not 0 or more", job.id, job.work);
  }
  const fs::path folder = job_folder(job.id);
  if (!file_exists(folder) && make_folder(folder, job)) return;
  const std::optional<FileSeen> text = read_file(folder / "job.toml");
  if (!text || text->content.empty()) {  // a power cut after the rename leaves empty files
    replace_file(folder / "order", order_text(job));
    replace_file(folder / "job.toml", job.text);
  } else if (text->content != job.text) {
    fail_input(
        "job {}: {} is there with another content; give this job another name, or remove the "
        "folder {} to render it anew",
        job.id, (folder / "job.toml").string(), folder.string());
  }
}

void QueueFolder::add(std::span<const QueueJob> jobs) {
  make_folders(folder_ / "jobs");
  make_folders(folder_ / "workers");
  Problems problems;
  for (const QueueJob& job : jobs) {
    problems.collect([&] { add_one(job); });
  }
  const FileHandle folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::syncfs(folder.get()) != 0) {
    problems.add("{} cannot be brought to the disk: {}", folder_.string(), std::strerror(errno));
  }
  problems.throw_if_any();
}

std::optional<QueueFolder::Order> QueueFolder::order_of(const std::string& id) {
  if (const auto known = orders_.find(id); known != orders_.end()) return known->second;
  const std::optional<FileSeen> file = read_file(job_folder(id) / "order");
  if (!file) return std::nullopt;
  Order order;
  std::istringstream fields(file->content);
  std::string key;
  std::string priority;
  const bool whole =
      fields >> key >> priority && fields >> key >> order.work && fields >> key >> order.index;
  if (!whole) return Order{};  // until add() mends it
  for (std::size_t i = 0; i < priority_names.size(); ++i) {
    if (priority == priority_names.at(i)) order.priority = static_cast<Priority>(i);
  }
  orders_.emplace(id, order);
  return order;
}

}  // namespace weft
