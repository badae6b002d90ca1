#pragma once
#include <string>

#include "weft/run/run_record.h"

namespace weft {

/// A run record for people: provenance, config, plan, result, cost, energy, times by rank and step.
std::string describe_record(const RunRecord& record);

}  // namespace weft
