#pragma once
// One PNG file under its final name, whole or not at all.

#include <cstdint>
#include <filesystem>
#include <span>

#include "ffmpeg_handles.h"

namespace weft {

/// Encodes rgb24 pictures of one size; equal pictures give equal bytes.
class PngWriter {
 public:
  PngWriter(int width, int height);
  /// rgb: [height, width, 3]. The bytes of the file, valid until the next call.
  std::span<const std::uint8_t> encode(std::span<const std::uint8_t> rgb);
  /// Error names `path` when the disk is full or the folder is gone.
  void write(const std::filesystem::path& path, std::span<const std::uint8_t> rgb);

 private:
  CodecHandle codec_;
  FrameHandle frame_;
  PacketHandle packet_;
};

}  // namespace weft
