#include "from_record.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "weft/run/describe_run.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

// The clip is written where the user says now, and the record beside it.
constexpr std::array<std::string_view, 2> left_out{"output", "record"};

const JobKey* key_named(const std::string& name) {
  const auto& keys = job_keys();
  const auto key = std::ranges::find_if(keys, [&](const JobKey& k) { return k.name == name; });
  return key == keys.end() ? nullptr : &*key;
}

bool is_unset(const JobKey& key, const std::string& value) {
  return value.empty() && (key.type == JobValue::integer || key.type == JobValue::number);
}

/// "" when the file is as it was. Schema 1 has no hashes.
std::string change_of(const ModelFile& then, const std::vector<ModelFile>& now) {
  const auto at = std::ranges::find(now, then.name, &ModelFile::name);
  if (at == now.end()) return "is not there any more";
  if (at->bytes != then.bytes) return fmt::format("has {} bytes, then {}", at->bytes, then.bytes);
  return !then.hash.empty() && at->hash != then.hash ? "has other content" : "";
}

}  // namespace

void take_from_record(const RunRecord& record, Job& job, Problems& problems) {
  const std::string file = record.path.string();
  for (const auto& [name, value] : record.config) {
    if (std::ranges::find(left_out, name) != left_out.end()) continue;
    const JobKey* key = key_named(name);
    if (key == nullptr) {
      problems.add("{}: weft {} knew a key {} that this one ({}) does not know", file,
                   record.weft_version, name, WEFT_VERSION);
      continue;
    }
    if (is_unset(*key, value)) continue;
    try {
      key->set(job, value);
    } catch (const InputError& e) {
      for (const std::string& problem : e.problems()) problems.add("{}: {}", file, problem);
    }
  }
  job.model = record.model_path;  // absolute in every schema
}

void check_recorded_model(const RunRecord& record, Job& job, Problems& problems) {
  std::error_code unreadable;
  if (job.model != record.model_path || fs::is_directory(job.model, unreadable)) return;
  job.model.clear();
  problems.add("model: the folder {}, which {} names, is not there: give --model",
               record.model_path, record.path.string());
}

std::vector<std::string> changes_since(const RunRecord& record, const PreparedJob& prepared,
                                       const Machine& machine) {
  std::vector<std::string> changes;
  if (record.weft_version != WEFT_VERSION) {
    changes.push_back(fmt::format("this is weft {}, then {}", WEFT_VERSION, record.weft_version));
  }
  if (!record.device.empty() && record.device != device_name(machine.device)) {
    changes.push_back(
        fmt::format("this computes on {}, then {}", device_name(machine.device), record.device));
  }
  const auto now = model_files(prepared.model);
  for (const ModelFile& then : record.model_files) {
    const std::string change = change_of(then, now);
    if (change.empty()) continue;
    changes.push_back(fmt::format("{} {}", (prepared.model.path / then.name).string(), change));
  }
  for (const ModelFile& file : now) {
    if (std::ranges::find(record.model_files, file.name, &ModelFile::name) !=
        record.model_files.end()) {
      continue;
    }
    changes.push_back(fmt::format("{} was not there", (prepared.model.path / file.name).string()));
  }
  return changes;
}

}  // namespace weft
