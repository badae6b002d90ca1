#pragma once
// A list of jobs: a CSV file, a file of JSON lines or a TOML file, one clip per row.

#include <filesystem>
#include <string>
#include <vector>

#include "weft/run/job.h"
#include "weft/run/priority.h"

namespace weft {

struct ListedJob {
  Job job;
  std::string id;     // names the job's folder: 1-100 of A-Z a-z 0-9 . _ -, not first '.', unique
  std::string where;  // "prompts.csv:12": the line where the row begins
  Priority priority = Priority::normal;
};

/// Reads the jobs of `file`; a job has the values of `defaults` where the list gives none.
///   .csv            a header with the names of columns, then rows (RFC 4180, UTF-8); an empty cell
///                   is the default; unquoted spaces around a cell are not part of it
///   .jsonl .ndjson  one JSON object per line; null is the default
///   .toml           [[job]] tables; other keys at the top are defaults for all of them
/// Names are those of job_keys() without `output` and `record` (each job writes into a folder of
/// its own), and `id` and `priority` (high, normal, low). Relative paths start from the file's
/// folder, and an `image` must lie inside it. Every value passes the rule of its key; a job must
/// have a prompt and a model, an image must be there.
///
/// A job without `id` is named by its prompt and a hash of all that decides what is drawn and how:
/// the same job has the same id wherever it stands in whichever list. Equal jobs are numbered -2,
/// -3, ... in the order of the list. `output`, `record`, the keys of the machine but `precision`,
/// and those of stopping do not count.
///
/// Problems are "FILE:LINE: KEY: what is wrong"; 50 are listed, the rest counted. With problems,
/// the result is of no use. Memory is bounded by the jobs: cells of more than 4 MiB, lines of more
/// than 8 MiB, TOML files of more than 64 MiB and lists of more than 1,000,000 jobs are refused.
std::vector<ListedJob> read_job_list(const std::filesystem::path& file, const Job& defaults,
                                     Problems& problems);

/// A job file that read_job_file() reads back as the same job: the keys that are not as in Job{}.
/// Paths are written absolute, as the file may lie anywhere.
std::string job_text(const Job& job);

}  // namespace weft
