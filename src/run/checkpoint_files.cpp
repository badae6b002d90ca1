// Receives states of denoising, hands back the newest one that is whole and of the same job.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "weft/base/log.h"
#include "weft/io/hdf5_file.h"
#include "weft/run/checkpoint.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t schema = 1;

/// A sound checkpoint, but not of this job: not to be stepped over like a damaged one.
class OtherJob final : public InputError {
 public:
  using InputError::InputError;
};

std::string group_of(int window) { return fmt::format("/windows/{}", window); }

void check_identity(const Hdf5Reader& file, const fs::path& path, const JobIdentity& identity) {
  std::vector<std::string> differs;
  const auto there = file.attributes("/identity");
  for (const auto& [name, value] : identity) {
    const bool has = std::ranges::find(there, name) != there.end();
    const std::string found = has ? file.attribute_text("/identity", name) : "";
    if (found != value) {
      differs.push_back(fmt::format("{} is \"{}\", there \"{}\"", name, value, found));
    }
  }
  if (differs.empty()) return;
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(differs.size(), 4); ++i) {
    text += (i > 0 ? "; " : "") + differs[i];
  }
  if (differs.size() > 4) text += fmt::format("; and {} more", differs.size() - 4);
  throw OtherJob(fmt::format(
      "{} is the checkpoint of another job ({}): start afresh with --no-resume, write to another "
      "--output, or remove the file",
      path.string(), text));
}

int whole_number(const Hdf5Reader& file, const fs::path& path, const std::string& group,
                 const std::string& name) {
  const double number = file.attribute_number(group, name);
  constexpr double most = std::numeric_limits<int>::max();
  if (!(number >= -most && number <= most && number == std::trunc(number))) {
    fail("{}: {} of {} is {}, not a whole number", path.string(), name, group, number);
  }
  return static_cast<int>(number);
}

}  // namespace

fs::path CheckpointFiles::previous() const { return file_.string() + ".previous"; }

void CheckpointFiles::write(const DenoiseState& state) const {
  Hdf5Writer out(file_);
  out.attribute("/", "schema", schema);
  out.attribute("/", "steps_done", static_cast<std::int64_t>(state.steps_done));
  for (const auto& [name, value] : identity_) out.attribute("/identity", name, value);
  for (const WindowState& w : state.windows) {
    const std::string group = group_of(w.window);
    for (const auto& [name, value] : w.integers) {
      out.attribute(group, name, static_cast<std::int64_t>(value));
    }
    for (const auto& [name, tensor] : w.tensors) {
      if (tensor.defined()) out.dataset(group + "/" + name, tensor);
    }
    std::string absent;
    for (const auto& [name, tensor] : w.tensors) {
      if (!tensor.defined()) absent += (absent.empty() ? "" : " ") + name;
    }
    out.attribute(group, "absent", absent);
  }
  out.commit(previous());
}

DenoiseState CheckpointFiles::read_file(const fs::path& path) const {
  const Hdf5Reader file(path);
  if (!file.has("/windows") || !file.has("/identity")) {
    fail("{}: not a checkpoint of weft (no /windows, no /identity)", path.string());
  }
  check_identity(file, path, identity_);
  DenoiseState state;
  state.steps_done = whole_number(file, path, "/", "steps_done");
  for (const std::string& child : file.children("/windows")) {
    WindowState w;
    const auto [end, error] = std::from_chars(child.data(), child.data() + child.size(), w.window);
    if (error != std::errc{} || end != child.data() + child.size()) {
      fail("{}: /windows/{} is not a window's number", path.string(), child);
    }
    const std::string group = "/windows/" + child;
    for (const std::string& name : file.attributes(group)) {
      if (name == "absent") continue;
      w.integers.emplace_back(name, whole_number(file, path, group, name));
    }
    for (const std::string& name : file.children(group)) {
      w.tensors.emplace_back(name, file.tensor(group + "/" + name));
    }
    const std::string absent = file.attribute_text(group, "absent");
    for (std::size_t begin = 0; begin < absent.size();) {
      const std::size_t space = std::min(absent.find(' ', begin), absent.size());
      w.tensors.emplace_back(absent.substr(begin, space - begin), Tensor());
      begin = space + 1;
    }
    state.windows.push_back(std::move(w));
  }
  std::ranges::sort(state.windows, {}, &WindowState::window);
  return state;
}

std::optional<DenoiseState> CheckpointFiles::read() const {
  bool damaged = false;
  for (const fs::path& path : {file_, previous()}) {
    std::error_code unknown;
    if (!fs::exists(path, unknown)) continue;
    try {
      DenoiseState state = read_file(path);
      if (damaged) log_warn("going on from the checkpoint before it, {}", path.string());
      return state;
    } catch (const OtherJob&) {
      throw;
    } catch (const std::exception& e) {
      log_warn("the checkpoint cannot be used: {}", e.what());
      damaged = true;
    }
  }
  return std::nullopt;
}

void CheckpointFiles::check() const {
  for (const fs::path& path : {file_, previous()}) {
    std::error_code unknown;
    if (!fs::exists(path, unknown)) continue;
    try {
      const Hdf5Reader file(path);
      if (file.has("/identity")) check_identity(file, path, identity_);
    } catch (const OtherJob&) {
      throw;
    } catch (const Error&) {
      continue;  // damaged: read() tells
    }
  }
}

void CheckpointFiles::remove() const {
  std::error_code gone;
  fs::remove(file_, gone);
  fs::remove(previous(), gone);
}

}  // namespace weft
