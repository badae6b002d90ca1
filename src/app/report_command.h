#pragma once
// weft report: run records to a page, drawings, tables, a trace.

#include "report_arguments.h"

namespace weft {

/// InputError with every problem, `found` included; nothing is written then. Error: what could not
/// be written. Needs no MPI.
void report_command(const ReportArguments& arguments, const Problems& found);

}  // namespace weft
