#pragma once
// Rank 0's end of the ordered frame stream: a bounded queue and a thread that encodes, so that
// encoding overlaps decoding and a slow encoder holds the decoders back instead of filling memory.

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "weft/io/contact_sheet.h"
#include "weft/io/flow_meter.h"
#include "weft/io/video_encoder.h"
#include "weft/render/renderer.h"
#include "weft/render/seam_meter.h"

namespace weft {

class FrameStream final : public FrameSink {
 public:
  FrameStream(std::unique_ptr<VideoEncoder> encoder, std::optional<ContactSheet> sheet,
              SeamMeter seams, std::optional<FlowMeter> flow = std::nullopt);
  ~FrameStream() override;
  FrameStream(const FrameStream&) = delete;
  FrameStream& operator=(const FrameStream&) = delete;

  /// Blocks while two pushes are waiting; rethrows what the encoder's thread threw.
  void push(const Tensor& frames) override;
  /// Encodes what is left; nothing may be pushed any more.
  void drain();
  /// drain(), then gives the file its final name.
  void finish();

  // After finish():
  [[nodiscard]] std::int64_t frames() const { return frames_; }
  [[nodiscard]] double busy_seconds() const { return busy_; }  // of the encoder's thread
  [[nodiscard]] SeamMeter::Figure seam_figure() const { return seams_.figure(); }
  /// Nothing without a flow meter, or when it could measure nothing.
  [[nodiscard]] std::optional<double> warping_error() const {
    return flow_ ? flow_->warping_error() : std::nullopt;
  }
  [[nodiscard]] const std::optional<ContactSheet>& sheet() const { return sheet_; }

 private:
  void run();
  void close();
  void encode(const Tensor& chunk);

  std::unique_ptr<VideoEncoder> encoder_;
  std::optional<ContactSheet> sheet_;
  SeamMeter seams_;
  std::optional<FlowMeter> flow_;
  std::int64_t frames_ = 0;
  double busy_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Tensor> queue_;
  bool closed_ = false;
  std::exception_ptr failure_;
  std::thread thread_;  // last: starts when the rest is ready
};

}  // namespace weft
