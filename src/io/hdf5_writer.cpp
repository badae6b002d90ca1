// The file is built in memory and written in one go by commit(): the disk can then fail at one
// place only, and never inside the HDF5 library, which could not be closed cleanly after that.
// Fixed strings, chunks with checksums and the 1.10 metadata format leave no byte of content
// unchecked.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "weft/io/atomic_file.h"
#include "weft/io/hdf5_file.h"

#include "hdf5_handle.h"

namespace weft {
namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 20U;  // the library's default chunk cache

void check_path(const std::string& where) {
  WEFT_ASSERT(where.starts_with('/') && where.find('\0') == std::string::npos,
              "HDF5 path {} is not absolute", where);
}

/// The shape of a chunk: the outer dimensions are cut until it fits.
std::vector<hsize_t> chunk_of(std::vector<hsize_t> dims, std::size_t element_bytes) {
  for (hsize_t& dim : dims) {
    hsize_t bytes = element_bytes;
    for (const hsize_t d : dims) bytes *= d;
    if (bytes <= chunk_bytes) break;
    dim = std::max<hsize_t>(1, dim / ((bytes + chunk_bytes - 1) / chunk_bytes));
  }
  return dims;
}

/// The bytes of a file that lives in memory. The library owns them until it closes the file, and
/// then hands them over instead of freeing them.
struct FileImage {
  void* data = nullptr;
  std::size_t bytes = 0;  // allocated, at least what the file has
  FileImage() = default;
  ~FileImage() { std::free(data); }
  FileImage(const FileImage&) = delete;
  FileImage& operator=(const FileImage&) = delete;
};

void* grow_image(void* data, std::size_t bytes, H5FD_file_image_op_t, void* image) {
  void* grown = std::realloc(data, bytes);
  if (grown != nullptr) static_cast<FileImage*>(image)->bytes = bytes;
  return grown;
}
void* new_image(std::size_t bytes, H5FD_file_image_op_t operation, void* image) {
  return grow_image(nullptr, bytes, operation, image);
}
herr_t keep_image(void* data, H5FD_file_image_op_t, void* image) {
  static_cast<FileImage*>(image)->data = data;
  return 0;
}
void* share_image(void* image) { return image; }
herr_t release_image(void*) { return 0; }

/// The file's own length, which its superblock (version 3) tells at byte 28.
std::size_t length_of(const FileImage& image) {
  std::uint64_t length = 0;
  WEFT_ASSERT(image.data != nullptr && image.bytes >= 48, "HDF5 left no file in memory");
  std::memcpy(&length, static_cast<const char*>(image.data) + 28, sizeof length);
  WEFT_ASSERT(length >= 48 && length <= image.bytes, "HDF5 file of {} bytes in {}", length,
              image.bytes);
  return length;
}

/// Creation properties without time stamps: the same content gives the same bytes.
Hdf5Id without_times(hid_t kind) {
  Hdf5Id properties(H5Pcreate(kind), &H5Pclose);
  H5Pset_obj_track_times(properties.get(), 0);
  return properties;
}

std::size_t longest(const std::vector<std::string>& values) {
  std::size_t bytes = 0;
  for (const auto& value : values) bytes = std::max(bytes, value.size());
  return bytes;
}

}  // namespace

struct Hdf5Writer::Impl {
  explicit Impl(const std::filesystem::path& path) : target(path) {
    hdf5_start();
    const Hdf5Id access(H5Pcreate(H5P_FILE_ACCESS), &H5Pclose);
    constexpr std::size_t growth = std::size_t{1} << 20U;
    check(H5Pset_fapl_core(access.get(), growth, 0), "prepare a file in memory");
    H5FD_file_image_callbacks_t callbacks{&new_image,   nullptr,        &grow_image, &keep_image,
                                          &share_image, &release_image, &image};
    check(H5Pset_file_image_callbacks(access.get(), &callbacks), "prepare a file in memory");
    check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110),
          "choose the format");
    const Hdf5Id creation = without_times(H5P_FILE_CREATE);
    file =
        Hdf5Id(H5Fcreate(target.temporary().c_str(), H5F_ACC_TRUNC, creation.get(), access.get()),
               &H5Fclose);
    check(file.get(), "create");
  }

  void check(hid_t result, const std::string& what) const {
    if (result < 0) fail("{}: cannot {}: {}", target.final_path().string(), what, hdf5_error());
  }

  /// The group at `where`, made with all its parents when it is not there.
  Hdf5Id group(const std::string& where) const {
    check_path(where);
    const Hdf5Id creation = without_times(H5P_GROUP_CREATE);
    std::size_t end = 0;
    while (end != std::string::npos) {
      end = where.find('/', end + 1);
      const std::string part = where.substr(0, end);
      if (part == "/" || H5Lexists(file.get(), part.c_str(), H5P_DEFAULT) > 0) continue;
      const Hdf5Id made(
          H5Gcreate2(file.get(), part.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
          &H5Gclose);
      check(made.get(), "make the group " + part);
    }
    Hdf5Id opened(H5Oopen(file.get(), where.c_str(), H5P_DEFAULT), &H5Oclose);
    check(opened.get(), "open " + where);
    return opened;
  }

  void attribute(const std::string& where, const std::string& name, hid_t stored, hid_t memory,
                 const void* value) const {
    const Hdf5Id object = group(where);
    const Hdf5Id space(H5Screate(H5S_SCALAR), &H5Sclose);
    const Hdf5Id made(
        H5Acreate2(object.get(), name.c_str(), stored, space.get(), H5P_DEFAULT, H5P_DEFAULT),
        &H5Aclose);
    check(made.get(), "make the attribute " + name + " of " + where);
    check(H5Awrite(made.get(), memory, value), "write the attribute " + name + " of " + where);
  }

  void dataset(const std::string& where, hid_t stored, hid_t memory, const void* values,
               const std::vector<hsize_t>& dims) const {
    check_path(where);
    const std::size_t slash = where.rfind('/');
    group(slash == 0 ? "/" : where.substr(0, slash));
    const Hdf5Id space(dims.empty()
                           ? H5Screate(H5S_SCALAR)
                           : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
                       &H5Sclose);
    check(space.get(), "make the space of " + where);
    const hssize_t count = H5Sget_simple_extent_npoints(space.get());
    const Hdf5Id creation = without_times(H5P_DATASET_CREATE);
    if (!dims.empty() && count > 0) {
      const auto chunk = chunk_of(dims, H5Tget_size(stored));
      check(H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()),
            "chunk " + where);
      check(H5Pset_fletcher32(creation.get()), "guard " + where);
    } else {
      // A lone value or none fits into the object's header, which has a checksum of its own.
      check(H5Pset_layout(creation.get(), H5D_COMPACT), "lay out " + where);
    }
    const Hdf5Id made(H5Dcreate2(file.get(), where.c_str(), stored, space.get(), H5P_DEFAULT,
                                 creation.get(), H5P_DEFAULT),
                      &H5Dclose);
    check(made.get(), "make the dataset " + where);
    if (count == 0) return;
    check(H5Dwrite(made.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), "write " + where);
  }

  AtomicPath target;
  FileImage image;  // before `file`, which fills it when it closes
  Hdf5Id file;
};

namespace {

std::vector<hsize_t> dims_of(const Shape& shape) {
  return {shape.dims().begin(), shape.dims().end()};
}

void check_text(const std::string& text, const std::string& where) {
  if (text.find('\0') != std::string::npos)
    fail("{}: text for HDF5 holds U+0000; remove it", where);
}

}  // namespace

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : impl_(std::make_unique<Impl>(path)) {}
Hdf5Writer::~Hdf5Writer() = default;

void Hdf5Writer::attribute(const std::string& group, const std::string& name,
                           const std::string& value) {
  check_text(value, group + " " + name);
  const Hdf5Id type = hdf5_text_type(value.size());
  impl_->attribute(group, name, type.get(), type.get(), value.c_str());
}

void Hdf5Writer::attribute(const std::string& group, const std::string& name, double value) {
  impl_->attribute(group, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5Writer::attribute(const std::string& group, const std::string& name, std::int64_t value) {
  impl_->attribute(group, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void Hdf5Writer::dataset(const std::string& where, std::span<const double> values,
                         const Shape& shape) {
  WEFT_ASSERT(static_cast<std::int64_t>(values.size()) == shape.numel(), "{}: {} values for {}",
              where, values.size(), shape.str());
  impl_->dataset(where, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values.data(), dims_of(shape));
}

void Hdf5Writer::dataset(const std::string& where, std::span<const std::int64_t> values,
                         const Shape& shape) {
  WEFT_ASSERT(static_cast<std::int64_t>(values.size()) == shape.numel(), "{}: {} values for {}",
              where, values.size(), shape.str());
  impl_->dataset(where, H5T_STD_I64LE, H5T_NATIVE_INT64, values.data(), dims_of(shape));
}

void Hdf5Writer::dataset(const std::string& where, const Tensor& tensor) {
  WEFT_ASSERT(tensor.defined() && tensor.device() == DeviceKind::cpu, "{}: not a CPU tensor",
              where);
  const std::vector<hsize_t> dims = dims_of(tensor.shape());
  switch (tensor.dtype()) {
    case DType::f32:
      return impl_->dataset(where, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, tensor.raw(), dims);
    case DType::i32:
      return impl_->dataset(where, H5T_STD_I32LE, H5T_NATIVE_INT32, tensor.raw(), dims);
    case DType::u8:
      return impl_->dataset(where, H5T_STD_U8LE, H5T_NATIVE_UINT8, tensor.raw(), dims);
    default:
      WEFT_ASSERT(false, "{}: a {} tensor in HDF5", where, dtype_name(tensor.dtype()));
  }
}

void Hdf5Writer::dataset(const std::string& where, const std::vector<std::string>& values) {
  const std::size_t bytes = longest(values) + 1;  // with the closing NUL
  std::string cells(values.size() * bytes, '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    check_text(values[i], where);
    cells.replace(i * bytes, values[i].size(), values[i]);
  }
  const Hdf5Id type = hdf5_text_type(bytes - 1);
  impl_->dataset(where, type.get(), type.get(), cells.data(), {values.size()});
}

void Hdf5Writer::commit(const std::filesystem::path& previous) {
  WEFT_ASSERT(impl_->file.valid(), "{} committed twice", impl_->target.final_path().string());
  impl_->check(H5Fclose(impl_->file.release()), "finish");
  const std::size_t bytes = length_of(impl_->image);

  const std::string& name = impl_->target.temporary().native();
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(name.c_str(), "wb"), &std::fclose);
  if (out == nullptr) fail("cannot create {}: {}", name, std::strerror(errno));
  if (std::fwrite(impl_->image.data, 1, bytes, out.get()) != bytes ||
      std::fclose(out.release()) != 0) {
    fail("cannot write {}: {}; is the disk or quota full?", name, std::strerror(errno));
  }
  impl_->target.commit(previous);
}

}  // namespace weft
