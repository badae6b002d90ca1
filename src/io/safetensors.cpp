#include "weft/io/safetensors.h"

#include <bit>
#include <cstring>

#include "mapped_file.h"
#include "safetensors_header.h"
#include "strict_json.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

/// What a download that went wrong usually leaves behind; "" when `start` is none of these.
std::string not_weights(std::string_view start) {
  if (start.starts_with("version https://git-lfs")) {
    return "it is a Git LFS pointer, not the weights; run `git lfs pull` in the model folder";
  }
  const std::size_t at = start.find_first_not_of(" \t\r\n");
  const std::string_view text = at == std::string_view::npos ? "" : start.substr(at);
  for (const std::string_view html : {"<!DOCTYPE", "<!doctype", "<html", "<HTML", "<?xml"}) {
    if (text.starts_with(html)) {
      return "it is a web page, not the weights; download the file again (is a login or licence "
             "needed?)";
    }
  }
  return "";
}

std::uint64_t read_u64(const std::byte* from) {
  std::uint64_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::map<std::string, StoredTensor> read_tensors(const std::byte* file, std::size_t file_bytes) {
  const std::string_view text(reinterpret_cast<const char*>(file), file_bytes);
  if (const std::string what = not_weights(text.substr(0, 512)); !what.empty())
    refuse_file("{}", what);
  if (file_bytes < 8) {
    refuse_file("it has {} bytes; a safetensors file has at least 8; is the download complete?",
                file_bytes);
  }
  const std::uint64_t header_bytes = read_u64(file);
  if (header_bytes == 0 || header_bytes > max_header_bytes) {
    refuse_file(
        "its first 8 bytes give a header of {} bytes, which must be from 1 to {}; this is no "
        "safetensors file",
        header_bytes, max_header_bytes);
  }
  if (header_bytes > file_bytes - 8) {
    refuse_file(
        "its header of {} bytes does not fit into the file of {} bytes; is the download complete?",
        header_bytes, file_bytes);
  }
  const std::uint64_t data_start = 8 + header_bytes;
  std::map<std::string, StoredTensor> tensors;
  for (auto& [name, entry] :
       parse_safetensors_header(text.substr(8, header_bytes), file_bytes - data_start)) {
    tensors.emplace(name, StoredTensor{entry.dtype, entry.shape, file + data_start + entry.begin,
                                       entry.end - entry.begin});
  }
  return tensors;
}

// Exact for every half; subnormals are made without subnormal floats, which a thread may flush.
float half_to_float(std::uint16_t half) {
  constexpr std::uint32_t rebase = 112U << 23U;  // the exponent's bias: 127 - 15
  const std::uint32_t magnitude = static_cast<std::uint32_t>(half & 0x7FFFU) << 13U;
  const std::uint32_t exponent = magnitude & 0x0F800000U;
  std::uint32_t bits = magnitude + rebase;
  if (exponent == 0x0F800000U) {  // infinity and NaN
    bits += rebase;
  } else if (exponent == 0) {
    const float above = std::bit_cast<float>(bits + (1U << 23U));
    bits = std::bit_cast<std::uint32_t>(above - 0x1p-14F);
  }
  return std::bit_cast<float>(bits | static_cast<std::uint32_t>(half & 0x8000U) << 16U);
}

float bfloat_to_float(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16U);
}

template <class Convert>
void convert_u16(const StoredTensor& from, float* to, Convert convert) {
  const std::size_t count = from.bytes / 2;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t value = 0;
    std::memcpy(&value, from.data + 2 * i, 2);  // the data need not be aligned
    to[i] = convert(value);
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : path_(path), map_(std::make_unique<MappedFile>(path)) {
  try {
    tensors_ = read_tensors(map_->data(), map_->bytes());
  } catch (const FormatError& reason) {
    throw InputError(fmt::format("{}: {}", path.string(), reason.what()));
  }
}

SafetensorsFile::~SafetensorsFile() = default;

const FileStamp& SafetensorsFile::stamp() const { return map_->stamp(); }

void convert_to_f32(const StoredTensor& from, float* to) {
  if (from.bytes == 0) return;
  if (from.dtype == "F32") {
    std::memcpy(to, from.data, from.bytes);
  } else if (from.dtype == "F16") {
    convert_u16(from, to, half_to_float);
  } else if (from.dtype == "BF16") {
    convert_u16(from, to, bfloat_to_float);
  } else {
    fail_input("a tensor {} is stored as {}; weights must be F32, F16 or BF16 (a quantised file?)",
               from.shape.str(), from.dtype);
  }
}

}  // namespace weft
