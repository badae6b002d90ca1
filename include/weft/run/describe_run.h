#pragma once
// What a run record says before anything has been computed.

#include "weft/run/render_job.h"
#include "weft/run/run_record.h"

namespace weft {

/// Provenance, job, clip, model and plan; what happened is left empty. Paths of the job are made
/// absolute, so that the record can be repeated from anywhere. Error when a weight file cannot be
/// read.
RunRecord describe_run(const Job& job, const PreparedJob& prepared, const Session& session);

/// The model's weight files, each with a hash of its name, size and both ends.
std::vector<ModelFile> model_files(const ModelFolder& model);

/// "Open MPI v4.1.4", "HDF5 1.10.8", "libavcodec 59.37.100", and for jobs on GPUs "CUDA
/// driver 13.0", ...
std::vector<std::string> library_versions(const Session& session, DeviceKind device);

/// Of the GPU in use, or of the processor as the operating system calls it ("AMD EPYC 9R14").
std::string device_name_of(DeviceKind device);

}  // namespace weft
