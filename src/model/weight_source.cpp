#include "weft/model/weight_source.h"

#include <algorithm>
#include <cmath>

#include "weft/base/rng.h"
#include "weft/device/device_api.h"

#include "weight_cause.h"

namespace weft {
namespace {

constexpr std::size_t listed = 8;  // of each kind; a wrong model has hundreds of misfits

bool is_float(const StoredTensor& t) {
  return t.dtype == "F32" || t.dtype == "F16" || t.dtype == "BF16";
}

DType type_of(const StoredTensor& t) {
  return t.dtype == "F32" ? DType::f32 : t.dtype == "F16" ? DType::f16 : DType::bf16;
}

/// Normal values scaled as a weight of this name and shape wants. A piece of them is drawn and
/// repeated: for timing, values must differ, not be independent.
void fill_random(const std::string& name, const Tensor& to) {
  const bool norm = name.find("norm") != std::string::npos || name.ends_with("gamma");
  const bool vector = to.shape().rank() == 1;
  const double fan_in =
      vector ? 2500 : static_cast<double>(to.numel()) / static_cast<double>(to.dim(0));
  const auto scale = static_cast<float>(1 / std::sqrt(fan_in));
  const std::int64_t piece = std::min<std::int64_t>(to.numel(), 1 << 20);
  std::vector<float> values(static_cast<std::size_t>(piece));
  philox_randn(std::hash<std::string>()(name), 0, values);
  for (float& v : values) v = norm ? 1 + 0.02F * v : v * scale;
  const Tensor flat = to.reshape({to.numel()});
  if (to.device() == DeviceKind::cpu) {
    std::copy(values.begin(), values.end(), flat.data<float>());
  } else {
    cuda_device_api()->load(to.raw(), to.dtype(), values.data(), DType::f32, piece);
  }
  for (std::int64_t done = piece; done < to.numel();) {
    const std::int64_t n = std::min(done, to.numel() - done);
    copy(flat.slice(0, n), flat.slice(done, done + n));
    done += n;
  }
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
                           const Placement& placement)
    : files_(&files), component_(std::move(component)), mode_(mode), placement_(placement) {}

WeightSource WeightSource::random(std::string component, const Placement& placement) {
  return {std::move(component), placement};
}

const StoredTensor* WeightSource::checked(const std::string& name, const Shape& shape) {
  seen_.insert(name);
  const StoredTensor* stored = files_->find(name);
  if (stored == nullptr || stored->shape != shape || !is_float(*stored)) {
    misfits_.push_back({name, shape, stored});
    return nullptr;
  }
  return stored;
}

void WeightSource::read(const StoredTensor& stored, ElementRange part, const Tensor& to) {
  if (part.size() == 0) return;
  const std::size_t size = dtype_size(type_of(stored));
  const StoredTensor piece{stored.dtype,
                           {part.size()},
                           stored.data + static_cast<std::size_t>(part.begin) * size,
                           static_cast<std::size_t>(part.size()) * size};
  if (to.device() == DeviceKind::cpu) {
    convert_to_f32(piece, to.data<float>());
  } else {
    cuda_device_api()->load(to.raw(), to.dtype(), piece.data, type_of(piece), part.size());
  }
  bytes_read_ += piece.bytes;
}

void WeightSource::read_whole(const StoredTensor& stored, const Tensor& to) {
  const std::int64_t count = to.numel();
  const Tensor flat = to.reshape({count});
  WeightPeers* peers = placement_.peers;
  if (peers == nullptr || peers->size() == 1 || stored.bytes < shared_reading_bytes) {
    return read(stored, {0, count}, flat);
  }
  std::vector<std::int64_t> begins;
  for (int r = 0; r <= peers->size(); ++r) begins.push_back(count * r / peers->size());
  const auto mine = static_cast<std::size_t>(peers->rank());
  const ElementRange part{begins[mine], begins[mine + 1]};
  read(stored, part, flat.slice(part.begin, part.end));
  peers->gather(flat, begins);
}

bool WeightSource::take_into(const std::string& name, const Shape& shape, const Tensor& to) {
  if (files_ == nullptr) {
    fill_random(name, to);  // the same on every rank
    return true;
  }
  const StoredTensor* stored = checked(name, shape);
  if (stored == nullptr || mode_ == Mode::check) return false;
  read_whole(*stored, to);
  bytes_loaded_ += to.bytes();
  return true;
}

bool WeightSource::take_part(const std::string& name, const Shape& shape, ElementRange part,
                             const Tensor& to) {
  if (files_ == nullptr) {
    const Tensor whole = Tensor::empty({shape.numel()}, to.dtype(), to.device());
    fill_random(name, whole.reshape(shape));
    copy(whole.slice(part.begin, part.end), to);
    return true;
  }
  const StoredTensor* stored = checked(name, shape);
  if (stored == nullptr || mode_ == Mode::check) return false;
  read(*stored, part, to);
  bytes_loaded_ += to.bytes();
  return true;
}

Tensor WeightSource::take_as(const std::string& name, const Shape& shape, DType type) {
  // Nothing is allocated for a tensor that is only checked.
  if (files_ != nullptr && mode_ == Mode::check) {
    static_cast<void>(checked(name, shape));
    return {};
  }
  const Tensor t = Tensor::empty(shape, type, placement_.device);
  return take_into(name, shape, t) ? t : Tensor{};
}

Tensor WeightSource::take(const std::string& name, const Shape& shape) {
  return take_as(name, shape, placement_.type);
}

Tensor WeightSource::take_f32(const std::string& name, const Shape& shape) {
  return take_as(name, shape, DType::f32);
}

std::vector<Tensor> WeightSource::take_group(std::span<const std::string> names,
                                             const Shape& shape) {
  std::vector<Tensor> group;
  if (mode_ == Mode::check || placement_.device == DeviceKind::cpu) {
    for (const std::string& name : names) group.push_back(take(name, shape));
    return group;
  }
  const auto count = static_cast<std::int64_t>(names.size());
  const Tensor all = Tensor::empty({count, shape.numel()}, placement_.type, placement_.device);
  for (std::int64_t i = 0; i < count; ++i) {
    const Tensor one = all.slice(i, i + 1).reshape(shape);
    group.push_back(take_into(names[static_cast<std::size_t>(i)], shape, one) ? one : Tensor{});
  }
  return group;
}

const StoredTensor* WeightSource::take_stored(const std::string& name, const std::string& alias,
                                              const Shape& shape) {
  if (files_ == nullptr) {
    const Tensor values = Tensor::empty(shape);
    philox_randn(random_tables_.size(), 0, values.span());
    const Tensor& stored = random_values_.emplace_back(values.as(DType::bf16));
    random_tables_.push_back(
        std::make_unique<StoredTensor>(StoredTensor{"BF16", shape, stored.raw(), stored.bytes()}));
    return random_tables_.back().get();
  }
  const bool by_alias = !has(name) && has(alias);
  seen_.insert(by_alias ? name : alias);  // some files store the table under both names
  return checked(by_alias ? alias : name, shape);
}

std::vector<std::string> WeightSource::extras() const {
  std::vector<std::string> extra;
  if (files_ == nullptr) return extra;
  for (auto& name : files_->names()) {
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
    unknown.push_back(fmt::format("{} {}", name, files_->find(name)->shape.str()));
  }
  std::string text = fmt::format("{}: the weights in {} do not fit its config.json", component_,
                                 files_->folder().string());
  text += paragraph("missing", missing) + paragraph("of another shape or type", wrong) +
          paragraph("stored but unknown", unknown);
  const auto stored =
      std::count_if(seen_.begin(), seen_.end(), [&](const auto& name) { return has(name); });
  const std::string cause =
      likely_cause(*files_, misfits_, extra, static_cast<std::size_t>(stored) - wrong.size());
  if (!cause.empty()) text += "\n  likely cause: " + cause;
  problems.add("{}", text);
}

void WeightSource::throw_if_wrong() const {
  Problems problems;
  report(problems);
  problems.throw_if_any();
}

}  // namespace weft
