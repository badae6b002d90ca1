#include "weft/model/weight_source.h"

#include <algorithm>

#include "weight_cause.h"

namespace weft {
namespace {

constexpr std::size_t listed = 8;  // of each kind; a wrong model has hundreds of misfits

bool is_float(const StoredTensor& t) {
  return t.dtype == "F32" || t.dtype == "F16" || t.dtype == "BF16";
}

/// "  missing (12): a [3], b [4] and 10 more", or "" for no lines.
std::string paragraph(const char* title, const std::vector<std::string>& lines) {
  if (lines.empty()) return "";
  std::string text = fmt::format("\n  {} ({}): ", title, lines.size());
  for (std::size_t i = 0; i < std::min(lines.size(), listed); ++i) {
    text += (i == 0 ? "" : ", ") + lines[i];
  }
  if (lines.size() > listed) text += fmt::format(" and {} more", lines.size() - listed);
  return text;
}

}  // namespace

WeightSource::WeightSource(const TensorFiles& files, std::string component, Mode mode,
                           DeviceKind device)
    : files_(files), component_(std::move(component)), mode_(mode), device_(device) {}

const StoredTensor* WeightSource::checked(const std::string& name, const Shape& shape) {
  seen_.insert(name);
  const StoredTensor* stored = files_.find(name);
  if (stored == nullptr || stored->shape != shape || !is_float(*stored)) {
    misfits_.push_back({name, shape, stored});
    return nullptr;
  }
  return stored;
}

Tensor WeightSource::take(const std::string& name, const Shape& shape) {
  const StoredTensor* stored = checked(name, shape);
  if (stored == nullptr || mode_ == Mode::check) return {};
  Tensor host = Tensor::empty(shape);
  convert_to_f32(*stored, host.data<float>());
  bytes_loaded_ += host.bytes();
  if (device_ == DeviceKind::cpu) return host;
  Tensor on_device = Tensor::empty(shape, DType::f32, device_);
  copy(host, on_device);
  return on_device;
}

const StoredTensor* WeightSource::take_stored(const std::string& name, const std::string& alias,
                                              const Shape& shape) {
  const bool by_alias = !has(name) && has(alias);
  seen_.insert(by_alias ? name : alias);  // some files store the table under both names
  return checked(by_alias ? alias : name, shape);
}

std::vector<std::string> WeightSource::extras() const {
  std::vector<std::string> extra;
  for (auto& name : files_.names()) {
    const bool ignored = std::any_of(ignored_prefixes_.begin(), ignored_prefixes_.end(),
                                     [&](const auto& prefix) { return name.starts_with(prefix); });
    if (!ignored && !seen_.contains(name)) extra.push_back(name);
  }
  return extra;
}

void WeightSource::report(Problems& problems) const {
  const std::vector<std::string> extra = extras();
  if (misfits_.empty() && extra.empty()) return;

  std::vector<std::string> missing;
  std::vector<std::string> wrong;
  for (const auto& m : misfits_) {
    if (m.found == nullptr) {
      missing.push_back(fmt::format("{} {}", m.name, m.want.str()));
    } else {
      wrong.push_back(fmt::format("{}: found {} {}, want {} (F32, F16 or BF16)", m.name,
                                  m.found->dtype, m.found->shape.str(), m.want.str()));
    }
  }
  std::vector<std::string> unknown;
  for (const auto& name : extra) {
    unknown.push_back(fmt::format("{} {}", name, files_.find(name)->shape.str()));
  }
  std::string text = fmt::format("{}: the weights in {} do not fit its config.json", component_,
                                 files_.folder().string());
  text += paragraph("missing", missing) + paragraph("of another shape or type", wrong) +
          paragraph("stored but unknown", unknown);
  const auto stored =
      std::count_if(seen_.begin(), seen_.end(), [&](const auto& name) { return has(name); });
  const std::string cause =
      likely_cause(files_, misfits_, extra, static_cast<std::size_t>(stored) - wrong.size());
  if (!cause.empty()) text += "\n  likely cause: " + cause;
  problems.add("{}", text);
}

void WeightSource::throw_if_wrong() const {
  Problems problems;
  report(problems);
  problems.throw_if_any();
}

}  // namespace weft
