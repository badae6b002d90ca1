#pragma once
// What a GPU has consumed, by the counter that NVIDIA's driver keeps (NVML, Volta and newer). The
// library comes with the driver and is loaded at run time: a program without it runs all the same.

#include <memory>
#include <optional>
#include <string>

namespace weft {

inline constexpr const char* nvml_library = "libnvidia-ml.so.1";

/// The counter of one GPU. It is of the whole GPU: also other processes there count.
class GpuEnergy {
 public:
  /// `bus_id`: as cuda_device_bus_id() has it. Never throws: where the library, the GPU or its
  /// counter is absent, joules() gives nothing.
  explicit GpuEnergy(const std::string& bus_id, const char* library = nvml_library);
  ~GpuEnergy();
  GpuEnergy(GpuEnergy&&) noexcept;
  GpuEnergy& operator=(GpuEnergy&&) noexcept;

  /// Joules since the driver was loaded; the difference of two calls is what was consumed between.
  [[nodiscard]] std::optional<double> joules() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "570.86.15": of NVIDIA's kernel driver; "" without NVML.
std::string nvidia_driver_version(const char* library = nvml_library);

}  // namespace weft
