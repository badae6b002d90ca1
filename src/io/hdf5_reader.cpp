#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>

#include "weft/io/hdf5_file.h"

#include "hdf5_handle.h"

namespace weft {
namespace {

// Far above what is written here; a chunk is held in memory whole, however little of it is read.
constexpr std::uintmax_t most_chunk_bytes = std::uintmax_t{1} << 26U;

/// Reads all elements of an attribute or dataset as the given memory type.
using ReadAll = herr_t (*)(hid_t object, hid_t memory, void* out);
herr_t read_attribute(hid_t object, hid_t memory, void* out) {
  return H5Aread(object, memory, out);
}
herr_t read_dataset(hid_t object, hid_t memory, void* out) {
  return H5Dread(object, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
}

// Names are collected in the file's own order and sorted here: for any other order HDF5 1.10 builds
// a table of all links first, and frees what it never read when the group is damaged.
herr_t append_name(hid_t, const char* name, const H5L_info_t*, void* out) {
  static_cast<std::vector<std::string>*>(out)->emplace_back(name);
  return 0;
}
herr_t append_attribute_name(hid_t, const char* name, const H5A_info_t*, void* out) {
  static_cast<std::vector<std::string>*>(out)->emplace_back(name);
  return 0;
}

/// An open attribute or dataset with its type and extent.
struct StoredValues {
  Hdf5Id object;
  Hdf5Id type;
  Hdf5Id space;
  ReadAll read_all;
  std::string name;   // for messages
  std::size_t count;  // elements
};

}  // namespace

struct Hdf5Reader::Impl {
  explicit Impl(const std::filesystem::path& p) : path(p) {
    hdf5_start();
    std::error_code error;
    file_bytes = std::filesystem::file_size(path, error);
    if (error) fail_input("{}: cannot be read: {}", path.string(), error.message());
    check_format();
    const Hdf5Id access(H5Pcreate(H5P_FILE_ACCESS), &H5Pclose);
    // Finished files never change, and some network file systems have no locks.
    H5Pset_file_locking(access.get(), 0, 1);
    file = Hdf5Id(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), &H5Fclose);
    check(file.get(), "not a whole HDF5 file");
  }

  /// The library may crash on damage in the formats before 1.10's, which have no checksums.
  void check_format() const {
    constexpr std::string_view start("\x89HDF\r\n\x1A\n\x03", 9);
    std::array<char, 9> found{};
    std::ifstream(path, std::ios::binary).read(found.data(), found.size());
    const std::string_view text(found.data(), found.size());
    if (text.substr(0, 8) != start.substr(0, 8)) {
      fail_input("{}: not a whole HDF5 file: it does not begin like one", path.string());
    }
    if (text != start) {
      fail_input("{}: an HDF5 file in an older format than weft writes, without checksums",
                 path.string());
    }
  }

  void check(hid_t result, const std::string& what) const {
    if (result < 0) fail_input("{}: {}: {}", path.string(), what, hdf5_error());
  }

  /// A group; attributes are on groups only. (To open a dataset is to read its layout.)
  [[nodiscard]] Hdf5Id open(const std::string& where) const {
    Hdf5Id object(H5Gopen2(file.get(), where.c_str(), H5P_DEFAULT), &H5Gclose);
    check(object.get(), "has no readable " + where);
    return object;
  }

  [[nodiscard]] StoredValues describe(Hdf5Id object, Hdf5Id type, Hdf5Id space, ReadAll read_all,
                                      const std::string& name) const {
    check(type.get(), "the type of " + name + " is unreadable");
    check(space.get(), "the shape of " + name + " is unreadable");
    const hssize_t count = H5Sget_simple_extent_npoints(space.get());
    check(count, "the shape of " + name + " is unreadable");
    const std::size_t element_bytes = H5Tget_size(type.get());
    if (element_bytes == 0) fail_input("{}: the type of {} is damaged", path.string(), name);
    // Nothing is allocated that the file cannot hold.
    if (static_cast<std::uintmax_t>(count) > file_bytes / element_bytes) {
      fail_input("{}: {} claims {} elements, more than the file holds; it is damaged",
                 path.string(), name, count);
    }
    return {std::move(object),
            std::move(type),
            std::move(space),
            read_all,
            name,
            static_cast<std::size_t>(count)};
  }

  /// Values must lie in this file, and take no more memory on the way than they have bytes.
  void check_storage(hid_t object, const std::string& where) const {
    const Hdf5Id storage(H5Dget_create_plist(object), &H5Pclose);
    check(storage.get(), "the layout of " + where + " is unreadable");
    const H5D_layout_t layout = H5Pget_layout(storage.get());
    if (layout == H5D_VIRTUAL || H5Pget_external_count(storage.get()) != 0) {
      fail_input("{}: {} keeps its values in other files", path.string(), where);
    }
    for (int i = 0; i < H5Pget_nfilters(storage.get()); ++i) {
      std::size_t parameters = 0;
      const H5Z_filter_t filter = H5Pget_filter2(storage.get(), static_cast<unsigned>(i), nullptr,
                                                 &parameters, nullptr, 0, nullptr, nullptr);
      if (filter != H5Z_FILTER_FLETCHER32) {
        fail_input("{}: {} is compressed, which weft's own files are not; undo it with h5repack",
                   path.string(), where);
      }
    }
    if (layout != H5D_CHUNKED) return;
    std::array<hsize_t, H5S_MAX_RANK> chunk{};
    const int rank = H5Pget_chunk(storage.get(), H5S_MAX_RANK, chunk.data());
    const Hdf5Id type(H5Dget_type(object), &H5Tclose);
    std::uintmax_t bytes = H5Tget_size(type.get());
    for (int i = 0; i < rank; ++i) {
      const hsize_t side = chunk[static_cast<std::size_t>(i)];
      bytes = side == 0 || bytes > most_chunk_bytes / side ? most_chunk_bytes + 1 : bytes * side;
    }
    if (rank < 0 || bytes > most_chunk_bytes) {
      fail_input("{}: {} is stored in chunks of more than {} bytes; it is damaged", path.string(),
                 where, most_chunk_bytes);
    }
  }

  [[nodiscard]] StoredValues dataset(const std::string& where) const {
    if (!has_heap) has_heap = hdf5_has_global_heap(path);
    if (*has_heap) {
      fail_input(
          "{}: {} cannot be read safely: the file holds text of variable length or datasets that "
          "keep their values in other files, which weft does not write",
          path.string(), where);
    }
    Hdf5Id object(H5Dopen2(file.get(), where.c_str(), H5P_DEFAULT), &H5Dclose);
    check(object.get(), "has no readable dataset " + where);
    check_storage(object.get(), where);
    Hdf5Id type(H5Dget_type(object.get()), &H5Tclose);
    Hdf5Id space(H5Dget_space(object.get()), &H5Sclose);
    return describe(std::move(object), std::move(type), std::move(space), &read_dataset, where);
  }

  [[nodiscard]] StoredValues attribute(const std::string& where, const std::string& name) const {
    const Hdf5Id owner = open(where);
    Hdf5Id object(H5Aopen(owner.get(), name.c_str(), H5P_DEFAULT), &H5Aclose);
    const std::string full = "the attribute " + name + " of " + where;
    check(object.get(), "has not " + full);
    Hdf5Id type(H5Aget_type(object.get()), &H5Tclose);
    Hdf5Id space(H5Aget_space(object.get()), &H5Sclose);
    return describe(std::move(object), std::move(type), std::move(space), &read_attribute, full);
  }

  template <class T>
  [[nodiscard]] std::vector<T> read(const StoredValues& from, hid_t memory) const {
    std::vector<T> values(from.count);
    if (from.count == 0) return values;
    check(from.read_all(from.object.get(), memory, values.data()), from.name + " is damaged");
    return values;
  }

  [[nodiscard]] std::vector<double> read_numbers(const StoredValues& from) const {
    const H5T_class_t kind = H5Tget_class(from.type.get());
    if (kind != H5T_INTEGER && kind != H5T_FLOAT) {
      fail_input("{}: {} does not hold numbers", path.string(), from.name);
    }
    return read<double>(from, H5T_NATIVE_DOUBLE);
  }

  [[nodiscard]] std::vector<std::int64_t> read_integers(const StoredValues& from) const {
    if (H5Tget_class(from.type.get()) != H5T_INTEGER) {
      fail_input("{}: {} does not hold whole numbers", path.string(), from.name);
    }
    return read<std::int64_t>(from, H5T_NATIVE_INT64);
  }

  [[nodiscard]] std::vector<std::string> read_strings(const StoredValues& from) const {
    if (H5Tget_class(from.type.get()) != H5T_STRING) {
      fail_input("{}: {} does not hold text", path.string(), from.name);
    }
    // It would lie in the file's global heap, which has no checksum: the library may never come
    // back.
    if (H5Tis_variable_str(from.type.get()) != 0) {
      fail_input("{}: {} is text of variable length, which weft does not write", path.string(),
                 from.name);
    }
    const std::size_t bytes = H5Tget_size(from.type.get());
    std::vector<std::string> texts;
    std::vector<char> cells(from.count * bytes);
    if (!cells.empty()) {
      check(from.read_all(from.object.get(), from.type.get(), cells.data()),
            from.name + " is damaged");
    }
    for (std::size_t i = 0; i < from.count; ++i) {
      texts.emplace_back(&cells[i * bytes], ::strnlen(&cells[i * bytes], bytes));
    }
    return texts;
  }

  template <class T>
  [[nodiscard]] T only(const std::vector<T>& numbers, const StoredValues& from) const {
    if (numbers.size() == 1) return numbers[0];
    fail_input("{}: {} holds {} numbers, not one", path.string(), from.name, numbers.size());
  }

  [[nodiscard]] Shape shape_of(const StoredValues& values) const {
    const int rank = H5Sget_simple_extent_ndims(values.space.get());
    if (rank < 0 || rank > Shape::max_rank) {
      fail_input("{}: {} has {} dimensions, more than {}", path.string(), values.name, rank,
                 Shape::max_rank);
    }
    std::array<hsize_t, Shape::max_rank> stored{};
    H5Sget_simple_extent_dims(values.space.get(), stored.data(), nullptr);
    std::array<std::int64_t, Shape::max_rank> dims{};
    std::copy(stored.begin(), stored.end(), dims.begin());
    const std::span<const std::int64_t> shape(dims.data(), static_cast<std::size_t>(rank));
    // The library's own count is a product that wraps round; a space of no kind has no shape.
    std::int64_t count = 1;
    bool sound = true;
    for (const std::int64_t dim : shape) {
      sound = sound && dim >= 0 && !__builtin_mul_overflow(count, dim, &count);
    }
    if (!sound || static_cast<std::size_t>(count) != values.count) {
      fail_input("{}: {} has no shape, or one that does not fit its size", path.string(),
                 values.name);
    }
    return Shape(shape);
  }

  std::filesystem::path path;
  std::uintmax_t file_bytes = 0;
  Hdf5Id file;
  mutable std::optional<bool> has_heap;  // known when a dataset is asked for
};

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path) : impl_(std::make_unique<Impl>(path)) {}
Hdf5Reader::~Hdf5Reader() = default;

bool Hdf5Reader::has(const std::string& where) const {
  // Negative when a parent is missing already.
  return H5Lexists(impl_->file.get(), where.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> Hdf5Reader::children(const std::string& group) const {
  const Hdf5Id object = impl_->open(group);
  std::vector<std::string> names;
  impl_->check(
      H5Literate(object.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, &append_name, &names),
      "cannot list " + group);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> Hdf5Reader::attributes(const std::string& group) const {
  const Hdf5Id object = impl_->open(group);
  std::vector<std::string> names;
  impl_->check(H5Aiterate2(object.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr,
                           &append_attribute_name, &names),
               "cannot list the attributes of " + group);
  std::sort(names.begin(), names.end());
  return names;
}

std::string Hdf5Reader::attribute_text(const std::string& group, const std::string& name) const {
  const StoredValues values = impl_->attribute(group, name);
  switch (H5Tget_class(values.type.get())) {
    case H5T_STRING:
      return fmt::format("{}", fmt::join(impl_->read_strings(values), ", "));
    case H5T_FLOAT:
      return fmt::format("{}", fmt::join(impl_->read_numbers(values), ", "));
    case H5T_INTEGER:
      // Not by way of double: a 64-bit seed must come back digit by digit.
      return fmt::format("{}",
                         fmt::join(impl_->read<std::int64_t>(values, H5T_NATIVE_INT64), ", "));
    default:
      fail_input("{}: {} is neither text nor number", impl_->path.string(), values.name);
  }
}

double Hdf5Reader::attribute_number(const std::string& group, const std::string& name) const {
  const StoredValues values = impl_->attribute(group, name);
  return impl_->only(impl_->read_numbers(values), values);
}

std::int64_t Hdf5Reader::attribute_integer(const std::string& group,
                                           const std::string& name) const {
  const StoredValues values = impl_->attribute(group, name);
  return impl_->only(impl_->read_integers(values), values);
}

Tensor Hdf5Reader::tensor(const std::string& where) const {
  const StoredValues values = impl_->dataset(where);
  const H5T_class_t kind = H5Tget_class(values.type.get());
  const std::size_t bytes = H5Tget_size(values.type.get());
  const bool is_signed = kind == H5T_INTEGER && H5Tget_sign(values.type.get()) == H5T_SGN_2;
  Tensor tensor;
  hid_t memory = H5I_INVALID_HID;
  if (kind == H5T_FLOAT && bytes == 4) {
    tensor = Tensor::empty(impl_->shape_of(values), DType::f32);
    memory = H5T_NATIVE_FLOAT;
  } else if (is_signed && bytes == 4) {
    tensor = Tensor::empty(impl_->shape_of(values), DType::i32);
    memory = H5T_NATIVE_INT32;
  } else if (kind == H5T_INTEGER && !is_signed && bytes == 1) {
    tensor = Tensor::empty(impl_->shape_of(values), DType::u8);
    memory = H5T_NATIVE_UINT8;
  } else {
    fail_input("{}: {} holds neither 32-bit floats, 32-bit integers nor bytes",
               impl_->path.string(), where);
  }
  if (values.count > 0) {
    impl_->check(read_dataset(values.object.get(), memory, tensor.raw()), where + " is damaged");
  }
  return tensor;
}

std::vector<double> Hdf5Reader::numbers(const std::string& where) const {
  return impl_->read_numbers(impl_->dataset(where));
}

std::vector<std::int64_t> Hdf5Reader::integers(const std::string& where) const {
  return impl_->read_integers(impl_->dataset(where));
}

Shape Hdf5Reader::shape(const std::string& where) const {
  return impl_->shape_of(impl_->dataset(where));
}

std::vector<std::string> Hdf5Reader::strings(const std::string& where) const {
  return impl_->read_strings(impl_->dataset(where));
}

}  // namespace weft
