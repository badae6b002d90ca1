#pragma once
// What job files, job lists and sweeps share: finding a key, and giving it a value that a stranger
// may have written.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/run/job.h"

namespace weft {

/// Null when there is no such key.
const JobKey* find_job_key(std::string_view name);

/// "unknown KIND NAME: did you mean NEAR?", with the nearest of `known`.
std::string unknown_name(const char* kind, const std::string& name,
                         const std::vector<std::string>& known);
std::vector<std::string> job_key_names();

/// What a file must hold for a key of this type: "a whole number".
const char* expected_value(JobValue type);

/// `text` as the value of `key`: a relative path starts from `folder`, anything else is unchanged.
std::string from_folder(const JobKey& key, const std::string& text,
                        const std::filesystem::path& folder);

/// from_folder() for a value out of a file, which may be a stranger's. InputError "KEY: ..." when
/// it leads out of `folder`, also by a symbolic link. Models alone may lie elsewhere: they are
/// installed once, and of what is no model nothing is read but the names of its files.
std::string confined_to_folder(const JobKey& key, const std::string& text,
                               const std::filesystem::path& folder);

/// Gives `key` a value out of a list or a sweep. InputError "KEY: what is wrong": whatever
/// JobKey::set says, text that is not UTF-8 or holds U+0000, a path that leads out of `folder`, and
/// an image that is not there.
void set_listed(const JobKey& key, const std::string& text, const std::filesystem::path& folder,
                Job& job);

/// Byte where `text` stops being UTF-8 or holds U+0000; npos when it is sound.
std::size_t unsound_at(std::string_view text);

/// Untrusted text for a terminal, on one line: control characters escaped, at most `most` bytes.
std::string printable(std::string_view text, std::size_t most = 400);

}  // namespace weft
