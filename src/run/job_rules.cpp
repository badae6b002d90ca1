#include "job_rules.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>
#include <vector>

#include "weft/base/error.h"
#include "weft/grid/process_grid.h"
#include "weft/run/job.h"
#include "weft/run/stop_request.h"

namespace weft {
namespace {

// Far beyond what any model renders; keeps width x height x frames x 3 within 64 bits.
constexpr std::int64_t most_pixels = 16384;
constexpr std::int64_t most_frames = 1'000'001;
constexpr std::size_t most_prompt_bytes = 20'000;  // the text encoder reads 512 tokens

template <class T>
T parse(const std::string& key, const std::string& text, const char* expected) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range && stopped == end) {
    fail_input("{}: {} is out of range: expected {}", key, text, expected);
  }
  if (error != std::errc{} || stopped != end) {
    fail_input("{}: \"{}\" is not {}", key, text, expected);
  }
  return value;
}

/// What a parser says about a text, or "".
template <class F>
std::string problem_of(F parse_it) {
  try {
    parse_it();
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

bool blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string::npos;
}

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::string range_rule(std::int64_t value, std::int64_t low, std::int64_t high) {
  if (low <= value && value <= high) return "";
  return fmt::format("{} is outside {} ... {}", value, low, high);
}

// The valid values are first, first + step, ...; names the two nearest.
std::string grid_rule(std::int64_t value, std::int64_t first, std::int64_t step, std::int64_t most,
                      const char* rule) {
  if (value < first) return fmt::format("{} is too small: use {} or more", value, first);
  if (value > most) return fmt::format("{} is too large: use at most {}", value, most);
  const std::int64_t over = (value - first) % step;
  if (over == 0) return "";
  return fmt::format("{} is not {}: use {} or {}", value, rule, value - over, value - over + step);
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

std::int64_t parse_integer(const std::string& key, const std::string& text) {
  return parse<std::int64_t>(key, text, "a whole number");
}

std::uint64_t parse_seed(const std::string& key, const std::string& text) {
  return parse<std::uint64_t>(key, text, "a whole number from 0 to 18446744073709551615");
}

double parse_number(const std::string& key, const std::string& text) {
  const auto value = parse<double>(key, text, "a decimal number");
  if (!std::isfinite(value)) fail_input("{}: {} is not a finite number", key, text);
  return value;
}

bool parse_toggle(const std::string& key, const std::string& text) {
  if (text != "true" && text != "false") fail_input("{}: \"{}\" is not true or false", key, text);
  return text == "true";
}

std::string pixels_rule(std::int64_t pixels) {
  return grid_rule(pixels, 16, 16, most_pixels, "a multiple of 16");
}

std::string frames_rule(std::int64_t frames) {
  return grid_rule(frames, 1, 4, most_frames, "of the form 4 k + 1");
}

std::string steps_rule(std::int64_t steps) { return range_rule(steps, 1, 1000); }
std::string crf_rule(std::int64_t crf) { return range_rule(crf, 0, 51); }
std::string threads_rule(std::int64_t threads) { return range_rule(threads, 0, 1024); }

std::string positive_rule(double value) {
  return value > 0 ? "" : fmt::format("{} is not greater than 0", value);
}

std::string not_negative_rule(double value) {
  return value >= 0 ? "" : fmt::format("{} is negative: use 0 or more", value);
}

std::string fraction_rule(double value) {
  return value >= 0 && value <= 1 ? "" : fmt::format("{} is outside 0 ... 1", value);
}

std::string overlap_rule(double value) {
  return value >= 0 && value <= 0.9 ? "" : fmt::format("{} is outside 0 ... 0.9", value);
}

std::string any_text_rule(const std::string& /*text*/) { return ""; }

std::string not_empty_rule(const std::string& text) { return text.empty() ? "is empty" : ""; }

std::string negative_prompt_rule(const std::string& text) {
  if (text.size() <= most_prompt_bytes) return "";
  return fmt::format("is {} bytes long: use at most {}", text.size(), most_prompt_bytes);
}

std::string prompt_rule(const std::string& text) {
  if (blank(text)) return "is empty: say what to draw";
  return negative_prompt_rule(text);
}

std::vector<SceneText> parse_storyboard(const std::string& text) {
  std::vector<SceneText> scenes;
  if (blank(text)) return scenes;
  for (const std::string& scene : split(text, '|')) {
    const std::size_t colon = scene.find(':');
    const std::string number = trimmed(scene.substr(0, std::min(colon, scene.size())));
    std::int64_t frame = 0;
    const char* end = number.data() + number.size();
    const auto [stopped, error] = std::from_chars(number.data(), end, frame);
    if (colon == std::string::npos || error != std::errc{} || stopped != end) {
      fail_input("\"{}\" is not FRAME: PROMPT such as 33: a moon rises", trimmed(scene));
    }
    const std::int64_t before = scenes.empty() ? 0 : scenes.back().frame;
    if (frame <= before) fail_input("frame {} does not come after frame {}", frame, before);
    scenes.push_back({frame, trimmed(scene.substr(colon + 1))});
    if (const std::string wrong = prompt_rule(scenes.back().prompt); !wrong.empty()) {
      fail_input("the prompt from frame {} on {}", frame, wrong);
    }
  }
  return scenes;
}

std::string storyboard_rule(const std::string& text) {
  return problem_of([&] { static_cast<void>(parse_storyboard(text)); });
}

std::string window_rule(const std::string& text) {
  if (text == "auto" || text == "none") return "";
  const auto size = parse_size(text);
  if (!size) {
    return fmt::format("\"{}\" is not auto, none or WIDTHxHEIGHTxFRAMES such as 832x480x81", text);
  }
  for (const std::string& problem :
       {pixels_rule((*size)[0]), pixels_rule((*size)[1]), frames_rule((*size)[2])}) {
    if (!problem.empty()) return fmt::format("in {}: {}", text, problem);
  }
  return "";
}

std::string parallel_rule(const std::string& text) {
  return problem_of([&] { static_cast<void>(parse_grid(text)); });
}

std::string checkpoint_rule(const std::string& text) {
  return text == "off" ? "" : time_limit_rule(text);
}

std::string time_limit_rule(const std::string& text) {
  return problem_of([&] {
    if (!text.empty()) static_cast<void>(parse_duration(text));
  });
}

std::string choice_rule(const std::string& choices, const std::string& text) {
  const std::vector<std::string> valid = split(choices, '|');
  for (const std::string& choice : valid) {
    if (choice == text) return "";
  }
  const std::string nearest = nearest_name(text, valid);
  return fmt::format("\"{}\" is not one of {}{}", text, fmt::join(valid, ", "),
                     nearest.empty() ? "" : fmt::format(": did you mean {}?", nearest));
}

std::optional<std::array<std::int64_t, 3>> parse_size(const std::string& text) {
  const std::vector<std::string> parts = split(text, 'x');
  std::array<std::int64_t, 3> size{};
  if (parts.size() != size.size()) return std::nullopt;
  for (std::size_t i = 0; i < size.size(); ++i) {
    const char* end = parts[i].data() + parts[i].size();
    const auto [stopped, error] = std::from_chars(parts[i].data(), end, size[i]);
    if (error != std::errc{} || stopped != end || size[i] < 0) return std::nullopt;
  }
  return size;
}

}  // namespace weft
