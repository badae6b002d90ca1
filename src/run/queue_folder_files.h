#pragma once
// The small text files of a queue's folder.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/run/queue_folder.h"

namespace weft {

/// Empty when `name` can name a file in any queue, else what is wrong with it.
std::string name_rule(const std::string& name);

std::string host_name();

/// Control characters become blanks; cut to `most` bytes.
std::string one_line(std::string text, std::size_t most);

enum class AttemptKind : std::uint8_t { failed, lost, retry };

struct Attempt {
  AttemptKind kind = AttemptKind::failed;
  std::string token;
  std::string error;
};

struct AttemptCount {
  int failed = 0;  // since the last retry, without returned ones
  int lost = 0;
  std::string last_error;
};

/// Adds one line to FOLDER/attempts and brings it to the disk.
void append_attempt(const std::filesystem::path& job_folder, const Attempt& attempt,
                    const std::string& worker);

AttemptCount count_attempts(const std::filesystem::path& job_folder);

std::filesystem::path returned_path(const std::filesystem::path& job_folder,
                                    const std::string& token);

std::string format_worker(const WorkerView& worker);
/// Lines that are not understood are passed over.
WorkerView parse_worker(const std::string& name, const std::string& text, int block_after);

}  // namespace weft
