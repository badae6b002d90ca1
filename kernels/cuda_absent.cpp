// Stands in for kernels/cuda in a build without CUDA.
#include "weft/base/error.h"
#include "weft/device/device_api.h"
#include "weft/device/device_link.h"
#include "weft/ops/ops.h"

namespace weft {

const DeviceApi* cuda_device_api() { return nullptr; }
std::string cuda_absent_reason() {
  return "this weft was built without CUDA (WEFT_CUDA=OFF, or no nvcc was found)";
}
int cuda_device_count() { return 0; }
std::string cuda_device_bus_id() { fail("{}", cuda_absent_reason()); }
std::string cuda_device_name() { fail("{}", cuda_absent_reason()); }
std::vector<std::string> cuda_versions() { return {}; }
void use_cuda_device(int /*index*/) { fail("{}", cuda_absent_reason()); }
std::unique_ptr<Ops> make_cuda_ops(int /*device_index*/, Precision /*precision*/) {
  return nullptr;
}
std::string device_link_version() { fail("{}", cuda_absent_reason()); }
std::string device_link_transport() { fail("{}", cuda_absent_reason()); }
DeviceLinkId make_device_link_id() { fail("{}", cuda_absent_reason()); }
std::unique_ptr<DeviceLink> make_device_link(const DeviceLinkId& /*id*/, int /*rank*/, int /*size*/,
                                             double /*timeout*/, PeerSwap /*swap*/) {
  fail("{}", cuda_absent_reason());
}

}  // namespace weft
