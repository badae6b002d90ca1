#pragma once
// The sections of a report, one file each. All take what was read and hand back blocks; a section
// that has nothing to show comes back empty and is left out.

#include <vector>

#include "weft/scaling/figure.h"

#include "works.h"

namespace weft {

using Works = std::vector<Work>;

/// "speedup" for the first of several works, "speedup-2" ...: ids are unique and name files.
std::string work_id(const char* name, std::size_t work);

Section jobs_section(const std::vector<RunRecord>& records);
Section speedup_section(const Work& work, std::size_t index, std::size_t works);
Section stages_section(const Works& works);
Section timeline_section(const Works& works);
Section steps_section(const Works& works);
Section memory_section(const Works& works);
Section frames_section(const Works& works);
Section provenance_section(const std::vector<RunRecord>& records);

/// Title, highlights, facts.
void fill_header(Report& report, const std::vector<RunRecord>& records, const Works& works);

}  // namespace weft
