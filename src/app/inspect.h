#pragma once
#include <filesystem>
#include <string>

namespace weft {

/// What a model folder or a run record holds, for people. InputError for anything else.
std::string inspect(const std::filesystem::path& path);

}  // namespace weft
