#pragma once
// A small check of XML: what a browser would forgive, a tool for papers does not.

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace weft::test {

/// "" when the text is well formed: tags nest, attributes are quoted and not repeated, "&" begins a
/// known entity, ids are unique. Else what is wrong, with the place.
class WellFormed {
 public:
  explicit WellFormed(std::string_view text) : text_(text) { run(); }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  /// Text between tags, entities undone.
  [[nodiscard]] const std::string& words() const { return words_; }
  [[nodiscard]] std::size_t count(const std::string& element) const {
    return elements_.count(element);
  }

 private:
  void fail(const std::string& what) {
    if (problem_.empty()) {
      problem_ = what + " before: " + std::string(text_.substr(at_, 60));
    }
    at_ = text_.size();
  }
  [[nodiscard]] bool sees(std::string_view what) const {
    return text_.substr(at_, what.size()) == what;
  }
  static bool is_name(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == ':' || c == '_';
  }
  std::string name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  void spaces() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }

  void run() {
    if (sees("<!DOCTYPE html>")) at_ += 15;
    while (at_ < text_.size()) {
      if (text_[at_] == '<') {
        tag();
      } else {
        words_ += character();
      }
    }
    if (!open_.empty() && problem_.empty()) problem_ = "<" + open_.back() + "> is not closed";
  }

  std::string character() {
    if (text_[at_] != '&') return std::string(1, text_[at_++]);
    for (const auto& [entity, c] :
         {std::pair{"&amp;", "&"}, std::pair{"&lt;", "<"}, std::pair{"&gt;", ">"},
          std::pair{"&quot;", "\""}, std::pair{"&#39;", "'"}}) {
      if (!sees(entity)) continue;
      at_ += std::string_view(entity).size();
      return c;
    }
    fail("a bare &");
    return "";
  }

  void tag() {
    ++at_;
    if (sees("/")) {
      ++at_;
      const std::string closed = name();
      if (open_.empty() || open_.back() != closed) return fail("</" + closed + "> closes nothing");
      open_.pop_back();
      return expect(">");
    }
    const std::string element = name();
    if (element.empty()) return fail("a bare <");
    elements_.insert(element);
    std::set<std::string> attributes;
    for (spaces(); at_ < text_.size() && is_name(text_[at_]); spaces()) {
      const std::string attribute = name();
      if (!attributes.insert(attribute).second) return fail(attribute + " twice");
      expect("=\"");
      std::string value;
      while (at_ < text_.size() && text_[at_] != '"') {
        if (text_[at_] == '<') return fail("< in an attribute");
        value += character();
      }
      expect("\"");
      if (attribute == "id" && !ids_.insert(value).second) return fail("id " + value + " twice");
    }
    if (sees("/>")) {
      at_ += 2;
      return;
    }
    open_.push_back(element);
    expect(">");
  }

  void expect(std::string_view what) {
    if (!sees(what)) return fail("no " + std::string(what));
    at_ += what.size();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string problem_, words_;
  std::vector<std::string> open_;
  std::set<std::string> ids_;
  std::multiset<std::string> elements_;
};

}  // namespace weft::test
