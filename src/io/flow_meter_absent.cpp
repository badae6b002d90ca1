// Built instead of flow_meter_opencv.cpp where OpenCV is not found.
#include "weft/base/error.h"
#include "weft/io/flow_meter.h"

namespace weft {

struct FlowMeter::State {
  std::vector<Step> steps;
};

std::string FlowMeter::library() { return ""; }

FlowMeter::FlowMeter(std::int64_t, std::int64_t) {
  fail("this weft was built without OpenCV, which finds the optical flow");
}
FlowMeter::~FlowMeter() = default;
FlowMeter::FlowMeter(FlowMeter&&) noexcept = default;
FlowMeter& FlowMeter::operator=(FlowMeter&&) noexcept = default;

void FlowMeter::add(std::span<const std::uint8_t>) {}
const std::vector<FlowMeter::Step>& FlowMeter::steps() const { return state_->steps; }
std::optional<double> FlowMeter::warping_error() const { return std::nullopt; }

}  // namespace weft
