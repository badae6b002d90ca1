#include <cerrno>
#include <cstdio>
#include <cstring>

#include <nlohmann/json.hpp>

#include "weft/io/atomic_file.h"
#include "weft/io/safetensors.h"

namespace weft {
namespace {

const char* stored_name(DType dtype) {
  WEFT_ASSERT(dtype == DType::f32 || dtype == DType::u8, "writing a {} tensor", dtype_name(dtype));
  return dtype == DType::f32 ? "F32" : "U8";
}

using Item = const std::pair<const std::string, Tensor>*;

/// The header, padded with spaces so that the data starts 8-aligned.
std::string header_of(const std::vector<Item>& items) {
  nlohmann::json header = nlohmann::json::object();
  std::size_t offset = 0;
  for (const Item item : items) {
    const Tensor& tensor = item->second;
    const auto dims = tensor.shape().dims();
    header[item->first] = {{"dtype", stored_name(tensor.dtype())},
                           {"shape", std::vector<std::int64_t>(dims.begin(), dims.end())},
                           {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, Tensor>& tensors) {
  // Floats before bytes, so that every tensor stays aligned to its elements.
  std::vector<Item> items;
  for (const DType dtype : {DType::f32, DType::u8}) {
    for (const auto& item : tensors) {
      stored_name(item.second.dtype());
      if (item.second.dtype() == dtype) items.push_back(&item);
    }
  }
  const std::string header = header_of(items);
  const std::uint64_t header_bytes = header.size();

  AtomicPath target(path);
  const auto cannot = [&](const char* what) {
    fail("cannot {} {}: {}", what, target.temporary().string(), std::strerror(errno));
  };
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(target.temporary().c_str(), "wb"),
                                                       &std::fclose);
  if (file == nullptr) cannot("create");
  const auto write = [&](const void* data, std::size_t bytes) {
    if (bytes != 0 && std::fwrite(data, 1, bytes, file.get()) != bytes) cannot("write");
  };
  write(&header_bytes, sizeof header_bytes);
  write(header.data(), header.size());
  for (const Item item : items) {
    Tensor host = item->second;
    if (host.device() != DeviceKind::cpu) {
      host = Tensor::empty(host.shape(), host.dtype());
      copy(item->second, host);
    }
    write(host.raw(), host.bytes());
  }
  if (std::fclose(file.release()) != 0) cannot("write");
  target.commit();
}

}  // namespace weft
