#pragma once
// The style sheet of the page.

#include <string>

namespace weft {

/// Light, dark as the reader's system is set, and for paper (always light).
std::string page_style();

}  // namespace weft
