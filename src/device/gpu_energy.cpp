#include "weft/device/gpu_energy.h"

#include <array>

#include <dlfcn.h>

namespace weft {
namespace {

// From NVIDIA's nvml.h, whose ABI is stable: 0 is success, a device is an opaque pointer.
using Status = int;
using Device = void*;
constexpr Status success = 0;

/// The library, initialised.
class Nvml {
 public:
  explicit Nvml(const char* library) : handle_(dlopen(library, RTLD_NOW | RTLD_LOCAL)) {
    const auto init = function<Status()>("nvmlInit_v2");
    ready_ = init != nullptr && init() == success;
  }
  ~Nvml() {
    if (ready_) {
      if (const auto shutdown = function<Status()>("nvmlShutdown")) shutdown();
    }
    if (handle_ != nullptr) dlclose(handle_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  [[nodiscard]] bool ready() const { return ready_; }
  /// Null when the library is absent or too old.
  template <class F>
  [[nodiscard]] F* function(const char* name) const {
    return handle_ == nullptr ? nullptr : reinterpret_cast<F*>(dlsym(handle_, name));
  }

 private:
  void* handle_;
  bool ready_ = false;
};

}  // namespace

struct GpuEnergy::Impl {
  explicit Impl(const char* library) : nvml(library) {}
  Nvml nvml;
  Device device = nullptr;
  Status (*total)(Device, unsigned long long* millijoules) = nullptr;
};

GpuEnergy::GpuEnergy(const std::string& bus_id, const char* library)
    : impl_(std::make_unique<Impl>(library)) {
  if (!impl_->nvml.ready()) return;
  const auto find =
      impl_->nvml.function<Status(const char*, Device*)>("nvmlDeviceGetHandleByPciBusId_v2");
  if (find == nullptr || find(bus_id.c_str(), &impl_->device) != success) return;
  impl_->total = impl_->nvml.function<Status(Device, unsigned long long*)>(
      "nvmlDeviceGetTotalEnergyConsumption");
}

GpuEnergy::~GpuEnergy() = default;
GpuEnergy::GpuEnergy(GpuEnergy&&) noexcept = default;
GpuEnergy& GpuEnergy::operator=(GpuEnergy&&) noexcept = default;

std::optional<double> GpuEnergy::joules() const {
  unsigned long long millijoules = 0;
  if (impl_->total == nullptr || impl_->total(impl_->device, &millijoules) != success) return {};
  return static_cast<double>(millijoules) / 1000;
}

std::string nvidia_driver_version(const char* library) {
  const Nvml nvml(library);
  const auto ask = nvml.function<Status(char*, unsigned)>("nvmlSystemGetDriverVersion");
  std::array<char, 81> text{};  // one more than NVML's longest
  const bool known = nvml.ready() && ask != nullptr && ask(text.data(), text.size() - 1) == success;
  return known ? text.data() : "";
}

}  // namespace weft
