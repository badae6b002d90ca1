#pragma once
// Where a job's files go and how its clip is encoded.

#include <filesystem>

#include "weft/io/video_encoder.h"
#include "weft/render/clip.h"
#include "weft/run/job.h"

namespace weft {

VideoOptions video_options(const Job& job, const Clip& clip, const ModelFolder& model);

/// out/clip.mp4 -> out/clip.sheet.png; out/%05d.png -> out/sheet.png
std::filesystem::path sheet_path(const Job& job);
/// A folder beside the clip for what is there only while the job is under way: out/clip.mp4 ->
/// out/clip.weft, with the lease and the checkpoint in it.
std::filesystem::path work_folder(const Job& job);
/// The record's file: as asked, else out/clip.mp4 -> out/clip.record.h5; empty for "none".
std::filesystem::path record_path(const Job& job);

/// In the work folder.
std::filesystem::path checkpoint_path(const Job& job);

/// Removes what runs that were killed have left under temporary names; one picture of a numbered
/// sequence may stay. Only for whoever holds the job's lease.
void remove_unfinished_files(const Job& job);

/// Folders of contact sheet and record that are missing or cannot be written.
void check_side_files(const Job& job, Problems& problems);

/// A file system too full for the clip: less than a careful estimate of its size is free. A clip
/// that turns out larger still fails cleanly while it is written.
void check_free_space(const Job& job, const Clip& clip, Problems& problems);

}  // namespace weft
