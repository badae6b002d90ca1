#include "denoise_state.h"

#include <algorithm>

#include "weft/base/error.h"

namespace weft {
namespace {

constexpr const char* latents_name = "latents";

class Saver final : public StateVisitor {
 public:
  explicit Saver(WindowState& to) : to_(to) {}
  void tensor(const std::string& name, Tensor& value) override {
    to_.tensors.emplace_back(name, value.defined() ? value.to(DeviceKind::cpu) : Tensor());
  }
  void integer(const std::string& name, int& value) override {
    to_.integers.emplace_back(name, value);
  }

 private:
  WindowState& to_;
};

template <class T>
const T& find(const std::vector<std::pair<std::string, T>>& values, const std::string& name) {
  const auto at = std::ranges::find(values, name, &std::pair<std::string, T>::first);
  if (at == values.end()) fail("the checkpoint holds no \"{}\"", name);
  return at->second;
}

class Loader final : public StateVisitor {
 public:
  Loader(const WindowState& from, const Shape& shape, DeviceKind device)
      : from_(from), shape_(shape), device_(device) {}
  void tensor(const std::string& name, Tensor& value) override {
    const Tensor& saved = find(from_.tensors, name);
    if (saved.defined() && saved.shape() != shape_) {
      fail("the checkpoint's \"{}\" is {}, want {}", name, saved.shape().str(), shape_.str());
    }
    // A copy of its own: steps are done in place.
    value = !saved.defined()             ? Tensor()
            : device_ == DeviceKind::cpu ? saved.clone()
                                         : saved.to(device_);
  }
  void integer(const std::string& name, int& value) override { value = find(from_.integers, name); }

 private:
  const WindowState& from_;
  Shape shape_;
  DeviceKind device_;
};

/// The tensors and numbers of one solver, by name.
class Fields final : public StateVisitor {
 public:
  explicit Fields(Solver& solver) { solver.visit(*this); }
  void tensor(const std::string& /*name*/, Tensor& value) override { tensors.push_back(&value); }
  void integer(const std::string& /*name*/, int& value) override { integers.push_back(&value); }
  std::vector<Tensor*> tensors;
  std::vector<int*> integers;
};

}  // namespace

WindowState save_window(int window, const Tensor& latents, Solver& solver) {
  WindowState made{.window = window, .tensors = {}, .integers = {}};
  // On the CPU to() would share memory with what the next step changes.
  const bool on_host = latents.device() == DeviceKind::cpu;
  made.tensors.emplace_back(latents_name, on_host ? latents.clone() : latents.to(DeviceKind::cpu));
  Saver saver(made);
  solver.visit(saver);
  for (auto& [name, tensor] : made.tensors) {
    if (on_host && tensor.defined() && name != latents_name) tensor = tensor.clone();
  }
  return made;
}

Tensor restore_window(const DenoiseState& saved, int window, const Shape& shape, DeviceKind device,
                      Solver& solver) {
  const ScopedContext doing(fmt::format("window {}", window));
  const auto at = std::ranges::find(saved.windows, window, &WindowState::window);
  if (at == saved.windows.end()) fail("the checkpoint lacks it");
  Loader loader(*at, shape, device);
  Tensor latents;
  loader.tensor(latents_name, latents);
  if (!latents.defined()) fail("the checkpoint has no latents");
  solver.visit(loader);
  return latents;
}

void carry_solvers(const WindowExchange& from, std::span<const std::unique_ptr<Solver>> old,
                   const WindowExchange& to, std::span<const std::unique_ptr<Solver>> made) {
  std::vector<Fields> before, after;
  for (const auto& solver : old) before.emplace_back(*solver);
  for (const auto& solver : made) after.emplace_back(*solver);
  // Every group has at least one window, and all solvers remember the same things.
  for (std::size_t i = 0; i < before.front().tensors.size(); ++i) {
    if (!before.front().tensors[i]->defined()) continue;
    std::vector<Tensor> values;
    for (const Fields& f : before) values.push_back(*f.tensors[i]);
    const std::vector<Tensor> carried = rewindow(from, to, values);
    for (std::size_t w = 0; w < after.size(); ++w) *after[w].tensors[i] = carried[w];
  }
  for (Fields& f : after) {
    for (std::size_t i = 0; i < f.integers.size(); ++i)
      *f.integers[i] = *before.front().integers[i];
  }
}

}  // namespace weft
