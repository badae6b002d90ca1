// Sweep files: [base], [sweep] and [zip] to axes, axes to points.
#include "weft/run/sweep.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "capped_problems.h"
#include "job_list_ids.h"
#include "job_values.h"
#include "sweep_range.h"
#include "toml_file.h"

namespace weft {
namespace {

const JobKey& swept_key(const std::string& name) {
  if (name == "output" || name == "record") {
    fail_input("{}: not in a sweep: each point writes into a folder of its own", name);
  }
  const JobKey* key = find_job_key(name);
  if (key == nullptr) fail_input("{}", unknown_name("key", name, job_key_names()));
  return *key;
}

double number_in(const std::string& name, const toml::value& value) {
  constexpr std::int64_t largest = 1LL << 53U;  // beyond, a double skips numbers
  if (value.is_floating()) return value.as_floating();
  if (!value.is_integer()) {
    fail_input("{}: expected a number, got {}", name, toml::stringize(value.type()));
  }
  if (value.as_integer() < -largest || value.as_integer() > largest) {
    fail_input("{}: a range is within -2^53 ... 2^53: list the numbers", name);
  }
  return static_cast<double>(value.as_integer());
}

// { from, to, step } or { from, to, count }.
std::vector<std::string> read_range(const toml::value& table) {
  std::optional<double> from, to, step;
  std::optional<std::int64_t> count;
  for (const auto& [name, value] : TomlFile::entries(table)) {
    if (name == "count") {
      if (!value->is_integer()) fail_input("count: expected a whole number");
      count = value->as_integer();
      continue;
    }
    std::optional<double>* number = name == "from" ? &from : name == "to" ? &to : &step;
    if (number == &step && name != "step") {
      fail_input("{}", unknown_name("word", name, {"from", "to", "step", "count"}));
    }
    *number = number_in(name, *value);
  }
  if (!from || !to || step.has_value() == count.has_value()) {
    fail_input(
        "a range is {{ from = 1, to = 2, step = 0.5 }} or {{ from = 1, to = 2, count = 3 }}");
  }
  return step ? stepped_range(*from, *to, *step) : counted_range(*from, *to, *count);
}

class SweepReader {
 public:
  SweepReader(const std::filesystem::path& path, const TomlFile& file, const Job& defaults,
              Problems& problems)
      : path_(path), file_(file), problems_(path.string(), problems), base_(defaults) {}

  Sweep read();

 private:
  void read_section(const std::string& name, const toml::value& section);
  void read_base(const toml::value& section);
  void read_sweep_section(const toml::value& section);
  void read_zip(const toml::value& section);
  /// The axis of one key; without values when something is wrong with it.
  SweepAxis read_axis(const std::string& name, const toml::value& value);
  std::vector<std::string> read_values(const JobKey& key, const toml::value& value);
  void check_complete();
  [[nodiscard]] bool sweeps(const std::string& name) const;
  [[nodiscard]] std::vector<ListedJob> make_points() const;

  struct PlacedAxis {
    std::size_t line;
    SweepAxis axis;
  };
  const std::filesystem::path& path_;
  const TomlFile& file_;
  CappedProblems problems_;
  Job base_;
  std::vector<PlacedAxis> placed_;
  Sweep sweep_;
};

void SweepReader::read_section(const std::string& name, const toml::value& section) {
  if (!section.is_table() && find_job_key(name) != nullptr) {
    fail_input("{}: belongs into [base], or with several values into [sweep]", name);
  }
  if (name != "base" && name != "sweep" && name != "zip") {
    fail_input("{}", unknown_name("section", name, {"base", "sweep", "zip"}));
  }
  if (!section.is_table()) fail_input("{}: expected a section: [{}]", name, name);
  if (name == "base") {
    read_base(section);
  } else if (name == "sweep") {
    read_sweep_section(section);
  } else {
    read_zip(section);
  }
}

void SweepReader::read_base(const toml::value& section) {
  for (const auto& [name, value] : TomlFile::entries(section)) {
    problems_.collect(file_.line(*value), [&, &name = name, &value = value] {
      const JobKey& key = swept_key(name);
      require_toml_type(key, *value);
      set_listed(key, toml_text(*value), path_.parent_path(), base_);
    });
  }
}

void SweepReader::read_sweep_section(const toml::value& section) {
  for (const auto& [name, value] : TomlFile::entries(section)) {
    placed_.push_back({file_.line(*value), read_axis(name, *value)});
  }
}

void SweepReader::read_zip(const toml::value& section) {
  SweepAxis zip;
  for (const auto& [name, value] : TomlFile::entries(section)) {
    SweepAxis axis = read_axis(name, *value);
    if (axis.values.empty()) continue;  // has its own problems
    if (zip.keys.empty()) {
      zip = std::move(axis);
      continue;
    }
    if (axis.values.size() != zip.values.size()) {
      problems_.add(file_.line(*value),
                    fmt::format("{}: {} values, but {} has {}: those of [zip] advance together",
                                name, axis.values.size(), zip.keys[0], zip.values.size()));
      continue;
    }
    zip.keys.push_back(name);
    for (std::size_t i = 0; i < zip.values.size(); ++i) {
      zip.values[i].push_back(std::move(axis.values[i][0]));
    }
  }
  if (!zip.keys.empty()) placed_.push_back({file_.line(section), std::move(zip)});
}

SweepAxis SweepReader::read_axis(const std::string& name, const toml::value& value) {
  SweepAxis axis{{name}, {}};
  const std::size_t before = problems_.count();
  problems_.collect(file_.line(value), [&] {
    for (std::string& text : read_values(swept_key(name), value)) {
      axis.values.push_back({std::move(text)});
    }
  });
  if (problems_.count() != before) axis.values.clear();
  return axis;
}

std::vector<std::string> SweepReader::read_values(const JobKey& key, const toml::value& value) {
  std::vector<std::string> values;
  const auto add = [&](const std::string& text) {
    Job scratch;
    set_listed(key, text, path_.parent_path(), scratch);
    values.push_back(key.get(scratch));
  };
  if (value.is_array()) {
    for (const toml::value& element : value.as_array()) {
      problems_.collect(file_.line(element), [&] {
        require_toml_type(key, element);
        add(toml_text(element));
      });
    }
    if (value.as_array().empty()) fail_input("{}: an empty list: nothing to sweep", key.name);
    return values;
  }
  const bool is_number = key.type == JobValue::integer || key.type == JobValue::number;
  if (!value.is_table() || !is_number) {
    fail_input("{}: expected a list such as [1, 2]{}", key.name,
               is_number ? " or a range such as { from = 1, to = 2, step = 0.5 }" : "");
  }
  std::vector<std::string> numbers;
  try {
    numbers = read_range(value);
  } catch (const InputError& e) {
    fail_input("{}: {}", key.name, e.problems().front());
  }
  for (const std::string& number : numbers) {
    problems_.collect(file_.line(value), [&] { add(number); });
  }
  return values;
}

bool SweepReader::sweeps(const std::string& name) const {
  return std::ranges::any_of(placed_, [&](const PlacedAxis& placed) {
    return std::ranges::find(placed.axis.keys, name) != placed.axis.keys.end();
  });
}

// What a sweep as a whole must have. Values by themselves have been checked.
void SweepReader::check_complete() {
  if (placed_.empty()) problems_.add(0, "nothing to sweep: give keys lists of values in [sweep]");
  for (std::size_t i = 0; i < placed_.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      for (const std::string& key : placed_[i].axis.keys) {
        if (std::ranges::find(placed_[j].axis.keys, key) != placed_[j].axis.keys.end()) {
          problems_.add(placed_[i].line, key + ": both in [sweep] and in [zip]");
        }
      }
    }
  }
  if (base_.model.empty() && !sweeps("model")) {
    problems_.add(0, "model: missing: name the model's folder in [base]");
  }
  if (base_.prompt.empty() && !sweeps("prompt")) {
    problems_.add(0, "prompt: missing: say what to draw in [base]");
  }
  double points = 1;
  std::vector<std::size_t> sizes;
  for (const PlacedAxis& placed : placed_) {
    sizes.push_back(placed.axis.values.size());
    points *= static_cast<double>(sizes.back());
  }
  if (points > static_cast<double>(most_points)) {
    problems_.add(0, fmt::format("{} = {:.0f} points: at most {}", fmt::join(sizes, " x "), points,
                                 most_points));
  }
}

// "guidance-scale-3.5_seed-7", with a hash where a value cannot be spelled in a folder's name.
std::string point_id(const std::vector<SweepAxis>& axes, const std::vector<std::size_t>& at,
                     const Job& job) {
  constexpr std::size_t longest_value = 24, longest = 80;
  std::string id;
  bool exact = true;
  for (std::size_t a = 0; a < axes.size(); ++a) {
    for (std::size_t k = 0; k < axes[a].keys.size(); ++k) {
      const std::string& value = axes[a].values[at[a]][k];
      const bool plain =
          !value.empty() && value.size() <= longest_value && std::ranges::all_of(value, [](char c) {
            return c == '.' || c == '-' || !slug({&c, 1}, 1).empty();
          });
      exact = exact && plain;
      id += fmt::format("{}{}-{}", id.empty() ? "" : "_", axes[a].keys[k],
                        plain ? value : slug(value, longest_value));
    }
  }
  if (exact && id.size() <= longest) return id;
  return id.substr(0, longest) + "-" + job_hash(job);
}

std::vector<ListedJob> SweepReader::make_points() const {
  const std::vector<SweepAxis>& axes = sweep_.axes;
  std::vector<ListedJob> points;
  std::vector<std::size_t> at(axes.size(), 0);  // where the point lies on each axis
  UniqueIds ids;
  for (bool more = true; more;) {
    ListedJob point;
    point.job = base_;
    point.where = fmt::format("{}: point {}", path_.string(), points.size() + 1);
    for (std::size_t a = 0; a < axes.size(); ++a) {
      for (std::size_t k = 0; k < axes[a].keys.size(); ++k) {
        find_job_key(axes[a].keys[k])->set(point.job, axes[a].values[at[a]][k]);
      }
    }
    point.id = ids.make(point_id(axes, at, point.job));
    points.push_back(std::move(point));
    more = false;
    for (std::size_t a = axes.size(); a-- > 0 && !more;) {
      more = ++at[a] < axes[a].values.size();
      if (!more) at[a] = 0;
    }
  }
  return points;
}

Sweep SweepReader::read() {
  for (const auto& [name, section] : TomlFile::entries(file_.root())) {
    problems_.collect(file_.line(*section),
                      [&, &name = name, &section = section] { read_section(name, *section); });
  }
  check_complete();
  const bool sound = problems_.count() == 0;
  problems_.close();
  if (!sound) return {};
  // A key on a line further up is an axis further out; [zip] counts by the line of its header.
  std::ranges::stable_sort(placed_, {}, &PlacedAxis::line);
  for (PlacedAxis& placed : placed_) sweep_.axes.push_back(std::move(placed.axis));
  sweep_.points = make_points();
  return std::move(sweep_);
}

}  // namespace

Sweep read_sweep(const std::filesystem::path& path, const Job& defaults, Problems& problems) {
  const auto file = TomlFile::read(path, "sweep file", problems);
  if (!file) return {};
  return SweepReader(path, *file, defaults, problems).read();
}

}  // namespace weft
