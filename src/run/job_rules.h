#pragma once
// The values of job keys: text to number, and the rules a value must pass. A rule returns what is
// wrong and how to mend it, or "".

#include <cstdint>
#include <string>

namespace weft {

/// A whole number without anything before or after it; throws InputError "KEY: ...".
std::int64_t parse_integer(const std::string& key, const std::string& text);
/// 0 ... 2^64 - 1.
std::uint64_t parse_seed(const std::string& key, const std::string& text);
/// A finite decimal number without anything before or after it.
double parse_number(const std::string& key, const std::string& text);
bool parse_toggle(const std::string& key, const std::string& text);

using IntegerRule = std::string (*)(std::int64_t);
std::string pixels_rule(std::int64_t pixels);  // a positive multiple of 16, one side of a frame
std::string frames_rule(std::int64_t frames);  // 4 k + 1
std::string steps_rule(std::int64_t steps);
std::string crf_rule(std::int64_t crf);
std::string threads_rule(std::int64_t threads);

using NumberRule = std::string (*)(double);
std::string positive_rule(double value);
std::string not_negative_rule(double value);
std::string fraction_rule(double value);  // [0, 1]
std::string overlap_rule(double value);   // [0, 0.9]

using TextRule = std::string (*)(const std::string&);
std::string any_text_rule(const std::string& text);
std::string prompt_rule(const std::string& text);
std::string storyboard_rule(const std::string& text);
std::string negative_prompt_rule(const std::string& text);
std::string not_empty_rule(const std::string& text);
std::string window_rule(const std::string& text);
std::string parallel_rule(const std::string& text);
std::string checkpoint_rule(const std::string& text);
std::string time_limit_rule(const std::string& text);
/// `choices`: "unipc|euler".
std::string choice_rule(const std::string& choices, const std::string& text);

}  // namespace weft
