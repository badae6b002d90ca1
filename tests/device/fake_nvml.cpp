// Stands in for the driver's NVML: a GPU whose counter rises, one without a counter, and no other.
#include <cstring>

extern "C" {
int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  static int with_counter, without;
  if (std::strcmp(bus_id, "0000:01:00.0") == 0) {
    *device = &with_counter;
    return 0;
  }
  *device = &without;
  return std::strcmp(bus_id, "0000:02:00.0") == 0 ? 0 : 6;  // NVML_ERROR_NOT_FOUND
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* millijoules) {
  void* counted = nullptr;
  nvmlDeviceGetHandleByPciBusId_v2("0000:01:00.0", &counted);
  if (device != counted) return 3;  // NVML_ERROR_NOT_SUPPORTED
  static unsigned long long count = 5'000'000'000'000;
  *millijoules = count += 2500;
  return 0;
}
int nvmlSystemGetDriverVersion(char* text, unsigned length) {
  std::strncpy(text, "570.86.15", length);
  return 0;
}
}
