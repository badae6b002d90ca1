#include "strict_json.h"

#include <fmt/format.h>

namespace weft {
namespace {

constexpr std::size_t max_string_bytes = 16'000'000;
constexpr std::size_t max_number_bytes = 1000;

/// Finds strings and numbers so long that reading them would only cost time and memory; "" if none.
std::string overlong_token(std::string_view text) {
  bool in_string = false;
  std::size_t start = 0;   // of the string
  std::size_t number = 0;  // bytes of the number so far
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
      start = i;
    }
    if (in_string && i - start > max_string_bytes) {
      return fmt::format("a string of more than {} bytes at byte {}", max_string_bytes, start);
    }
    number = !in_string && (c == '.' || (c >= '0' && c <= '9')) ? number + 1 : 0;
    if (number > max_number_bytes) {
      return fmt::format("a number of more than {} digits at byte {}", max_number_bytes,
                         i - number);
    }
  }
  return "";
}

}  // namespace

std::string shown(std::string_view text) {
  constexpr std::size_t most = 80;
  std::string result = "'";
  std::size_t end = std::min(text.size(), most);
  // Never cut inside a UTF-8 sequence.
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;
  for (const char c : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result + (end < text.size() ? "...'" : "'");
}

bool StrictJson::read(std::string_view text) {
  // The parser takes a NUL for the end of the text and would not look at what follows.
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    return refuse(fmt::format("a NUL byte at byte {} of the JSON text", nul));
  }
  if (std::string what = overlong_token(text); !what.empty()) return refuse(std::move(what));
  return nlohmann::json::sax_parse(text.begin(), text.end(), this) && error_.empty();
}

bool StrictJson::refuse(std::string reason) {
  if (error_.empty()) error_ = std::move(reason);
  return false;
}

bool StrictJson::number_integer(number_integer_t value) {
  return refuse(fmt::format("an unexpected number {}", value));
}
bool StrictJson::number_unsigned(number_unsigned_t value) {
  return refuse(fmt::format("an unexpected number {}", value));
}
bool StrictJson::number_float(number_float_t, const string_t& text) {
  return refuse(fmt::format("an unexpected number {}", shown(text)));
}
bool StrictJson::string(string_t& value) {
  return refuse(fmt::format("an unexpected string {}", shown(value)));
}
bool StrictJson::key(string_t& name) {
  return refuse(fmt::format("an unexpected key {}", shown(name)));
}

bool StrictJson::parse_error(std::size_t position, const std::string& last_token,
                             const nlohmann::detail::exception&) {
  const std::size_t tail = last_token.size() > 40 ? last_token.size() - 40 : 0;
  return refuse(fmt::format("not valid JSON (UTF-8) at byte {}, after {}", position,
                            shown(std::string_view(last_token).substr(tail))));
}

}  // namespace weft
