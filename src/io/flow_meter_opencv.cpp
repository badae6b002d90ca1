#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/video/tracking.hpp>

#include "weft/base/error.h"
#include "weft/io/flow_meter.h"

namespace weft {
namespace {

using Flow = cv::Mat_<cv::Vec2f>;  // [height, width], where a pixel is in the other frame, less
                                   // where it is here

/// OpenCV cuts the search into one strip per thread, and the flow depends on the cut: one thread
/// gives the same figure on every machine, and leaves the cores to the job.
void use_one_thread() { cv::setNumThreads(1); }

Flow find_flow(cv::DISOpticalFlow& search, const cv::Mat& from, const cv::Mat& to) {
  cv::Mat flow;  // a new one every time: what it held would be taken for a first guess
  search.calc(from, to, flow);
  return flow;
}

/// Where each pixel is in the other frame.
Flow positions(const Flow& flow) {
  Flow at(flow.size());
  for (int y = 0; y < flow.rows; ++y) {
    const cv::Vec2f* from = flow[y];
    cv::Vec2f* to = at[y];
    for (int x = 0; x < flow.cols; ++x) {
      to[x] = {static_cast<float>(x) + from[x][0], static_cast<float>(y) + from[x][1]};
    }
  }
  return at;
}

cv::Mat take_from(const cv::Mat& source, const Flow& at) {
  cv::Mat taken;
  cv::remap(source, taken, at, cv::noArray(), cv::INTER_LINEAR, cv::BORDER_REPLICATE);
  return taken;
}

float square(const cv::Vec2f& v) { return v[0] * v[0] + v[1] * v[1]; }

bool is_inside(const cv::Vec2f& at, const cv::Size& size) {
  return at[0] >= 0 && at[1] >= 0 && at[0] <= static_cast<float>(size.width - 1) &&
         at[1] <= static_cast<float>(size.height - 1);
}

bool agree(const cv::Vec2f& there, const cv::Vec2f& back) {
  return square(there + back) <= 0.01F * (square(there) + square(back)) + 0.5F;
}

/// `back`: of the frame to the one before; `forth`: of the one before to the frame.
FlowMeter::Step compare(const cv::Mat& before, const cv::Mat& frame, const Flow& back,
                        const Flow& forth) {
  const Flow at = positions(back);
  const Flow forth_there = take_from(forth, at);
  const cv::Mat_<cv::Vec3b> warped = take_from(before, at);
  std::int64_t counted = 0, sum = 0;
  for (int y = 0; y < frame.rows; ++y) {
    const auto* pixels = frame.ptr<cv::Vec3b>(y);
    for (int x = 0; x < frame.cols; ++x) {
      if (!is_inside(at[y][x], frame.size()) || !agree(back[y][x], forth_there[y][x])) continue;
      ++counted;
      for (int c = 0; c < 3; ++c) {
        const int difference = int{pixels[x][c]} - int{warped[y][x][c]};
        sum += difference * difference;
      }
    }
  }
  FlowMeter::Step step;
  step.counted = static_cast<double>(counted) / static_cast<double>(frame.total());
  if (counted > 0) {
    step.error = static_cast<double>(sum) / (255.0 * 255.0 * 3) / static_cast<double>(counted);
  }
  return step;
}

}  // namespace

struct FlowMeter::State {
  int width, height;
  cv::Ptr<cv::DISOpticalFlow> search;
  cv::Mat before, grey_before;
  std::vector<Step> steps;
};

std::string FlowMeter::library() { return "OpenCV " + cv::getVersionString(); }

FlowMeter::FlowMeter(std::int64_t width, std::int64_t height) : state_(std::make_unique<State>()) {
  use_one_thread();
  state_->width = static_cast<int>(width);
  state_->height = static_cast<int>(height);
  state_->search = cv::DISOpticalFlow::create(cv::DISOpticalFlow::PRESET_FAST);
}
FlowMeter::~FlowMeter() = default;
FlowMeter::FlowMeter(FlowMeter&&) noexcept = default;
FlowMeter& FlowMeter::operator=(FlowMeter&&) noexcept = default;

void FlowMeter::add(std::span<const std::uint8_t> rgb) {
  State& s = *state_;
  WEFT_ASSERT(rgb.size() == static_cast<std::size_t>(s.width) * s.height * 3,
              "a frame of {} bytes for {} x {}", rgb.size(), s.width, s.height);
  if (std::min(s.width, s.height) < smallest_side) return;
  cv::Mat frame(s.height, s.width, CV_8UC3), grey;
  std::copy(rgb.begin(), rgb.end(), frame.data);
  cv::cvtColor(frame, grey, cv::COLOR_RGB2GRAY);
  if (!s.before.empty()) {
    const Flow back = find_flow(*s.search, grey, s.grey_before);
    const Flow forth = find_flow(*s.search, s.grey_before, grey);
    s.steps.push_back(compare(s.before, frame, back, forth));
  }
  s.before = frame;
  s.grey_before = grey;
}

const std::vector<FlowMeter::Step>& FlowMeter::steps() const { return state_->steps; }

std::optional<double> FlowMeter::warping_error() const {
  double sum = 0;
  std::int64_t count = 0;
  for (const Step& step : state_->steps) {
    if (!step.error) continue;
    sum += *step.error;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

}  // namespace weft
