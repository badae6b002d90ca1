#pragma once
// JSON from untrusted files as a stream of events: nothing is built that the reader did not ask
// for, so memory stays near the text's own size, and whatever is not expected stops the reading.

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace weft {

/// Untrusted text made fit for an error message: escapes, at most 80 bytes.
std::string shown(std::string_view text);

/// Refuses every event; a format overrides those that it allows.
class StrictJson : public nlohmann::json_sax<nlohmann::json> {
 public:
  /// False when `text` is not JSON or a handler refused it; error() then says why.
  bool read(std::string_view text);
  [[nodiscard]] const std::string& error() const { return error_; }

  bool null() override { return refuse("an unexpected null"); }
  bool boolean(bool) override { return refuse("an unexpected true or false"); }
  bool number_integer(number_integer_t value) override;  // negative numbers only
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t, const string_t& text) override;
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return refuse("unexpected binary data"); }
  bool start_object(std::size_t) override { return refuse("an unexpected '{'"); }
  bool end_object() override { return refuse("an unexpected '}'"); }
  bool start_array(std::size_t) override { return refuse("an unexpected '['"); }
  bool end_array() override { return refuse("an unexpected ']'"); }
  bool key(string_t& name) override;
  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::detail::exception& cause) override;

 protected:
  /// Remembers the first reason and stops the reading.
  bool refuse(std::string reason);

 private:
  std::string error_;
};

}  // namespace weft
