// A sentencepiece model is a protocol buffer. Two of its parts, the specifications of the
// normaliser (field 3) and denormaliser (field 5), hold a table of character replacements (field
// 2), which the library uses as it lies in the file: a trie as an array of 32-bit units, and the
// replacements, each closed by a NUL. An offset beyond them would be followed into other memory.
#include "sentencepiece_check.h"

#include <cstdint>
#include <cstring>
#include <optional>

namespace weft {
namespace {

/// One field of a protocol buffer: its number, and its bytes when it is of variable length.
struct Field {
  std::uint64_t number;
  std::string_view bytes;
};

class Fields {
 public:
  explicit Fields(std::string_view text) : text_(text) {}
  [[nodiscard]] bool damaged() const { return damaged_; }

  std::optional<Field> next() {
    if (text_.empty() || damaged_) return std::nullopt;
    const std::uint64_t tag = varint();
    constexpr std::uint64_t number_kind = 0, eight_bytes = 1, counted = 2, four_bytes = 5;
    switch (tag & 7U) {
      case number_kind:
        varint();
        return Field{tag >> 3U, {}};
      case eight_bytes:
        return Field{tag >> 3U, take(8)};
      case counted:
        return Field{tag >> 3U, take(varint())};
      case four_bytes:
        return Field{tag >> 3U, take(4)};
      default:
        damaged_ = true;  // groups, which no model holds
        return std::nullopt;
    }
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !text_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
    damaged_ = true;
    return 0;
  }

  std::string_view take(std::uint64_t bytes) {
    damaged_ = damaged_ || bytes > text_.size();
    const std::string_view taken = text_.substr(0, damaged_ ? 0 : bytes);
    text_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view text_;
  bool damaged_ = false;
};

std::uint32_t unit_at(std::string_view trie, std::size_t i) {
  std::uint32_t unit = 0;
  std::memcpy(&unit, trie.data() + 4 * i, sizeof unit);
  return unit;
}

/// The table: bytes of the trie (32 bits), the trie, the replacements.
bool sound_table(std::string_view table) {
  std::uint32_t trie_bytes = 0;
  if (table.size() <= sizeof trie_bytes || table.back() != '\0') return false;
  std::memcpy(&trie_bytes, table.data(), sizeof trie_bytes);
  table.remove_prefix(sizeof trie_bytes);
  if (trie_bytes >= table.size() || trie_bytes % 4 != 0) return false;
  const std::string_view trie = table.substr(0, trie_bytes);
  const std::size_t replacements = table.size() - trie_bytes;
  const std::size_t units = trie.size() / 4;
  if (units == 0) return false;
  for (std::size_t i = 0; i < units; ++i) {
    const std::uint32_t unit = unit_at(trie, i);
    // A value: nothing is followed from it, except from the root, where nobody looks at its kind.
    if (i > 0 && unit >> 31U != 0) continue;
    // Bits 10 to 30 shifted by 8 when bit 9 is set; the next unit differs from the target in the
    // lower 8 bits only, by the next character.
    const std::size_t offset = std::size_t{unit >> 10U} << ((unit & (1U << 9U)) >> 6U);
    const std::size_t target = i ^ offset;
    if ((target | 0xFFU) >= units) return false;
    const bool has_value = (unit & (1U << 8U)) != 0;
    if (has_value && (unit_at(trie, target) & 0x7FFFFFFFU) >= replacements) return false;
  }
  return true;
}

bool sound_specification(std::string_view specification) {
  Fields fields(specification);
  while (const auto field = fields.next()) {
    if (field->number == 2 && !field->bytes.empty() && !sound_table(field->bytes)) return false;
  }
  return !fields.damaged();
}

}  // namespace

std::string sentencepiece_problem(std::string_view model) {
  Fields fields(model);
  while (const auto field = fields.next()) {
    const bool specification = field->number == 3 || field->number == 5;
    if (specification && !sound_specification(field->bytes)) {
      return "its table of character replacements is damaged";
    }
  }
  return fields.damaged() ? "it is cut off or damaged" : "";
}

}  // namespace weft
