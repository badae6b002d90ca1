#pragma once
// The checks of a job in parts, for whoever checks many of them: what one rank can check by itself,
// then what the ranks agree on.

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weft/comm/communicator.h"
#include "weft/comm/session.h"
#include "weft/io/tokenizer.h"
#include "weft/run/render_job.h"

namespace weft {

/// Files that many jobs name are read and checked once: model folders, and the last image.
class KnownInputs {
 public:
  struct Model {
    ModelFolder folder;
    Problems unreadable;  // then the rest was not looked at
    Problems weights, of_tokenizer;
    std::unique_ptr<Tokenizer> tokenizer;  // null with problems
  };
  const Model& model(const std::filesystem::path& path);
  /// InputError as read_image().
  const Image& image(const std::filesystem::path& path);
  /// The text of a network file. InputError as read_network_text().
  const std::string& network(const std::filesystem::path& path);

 private:
  std::map<std::filesystem::path, Model> models_;
  std::filesystem::path image_path_;
  Image image_;
  std::map<std::filesystem::path, std::string> networks_;
};

/// Keys, device, model, sizes, prompts; on rank 0 also image and output. Without a plan.
PreparedJob check_alone(const Job& job, JobUse use, int rank, const Session& session,
                        KnownInputs& known, Problems& problems);

/// That this rank has the device the job asks for.
void check_device(const Job& job, JobUse use, const Session& session, Problems& problems);

/// Gives every rank what rank 0 has read of the job's network file, if it names one: plans are the
/// same everywhere. Collective.
void share_network(const Job& job, const Communicator& comm, KnownInputs& known, PreparedJob& made);

/// Fills the plan, for `made.machine` with so many ranks on a node.
void make_plan(int ranks, int ranks_per_node, PreparedJob& made, Problems& problems);

/// Problems when one of the stages does not fit into `free` bytes of GPU memory on `rank`. Nothing
/// for a job on the CPU.
void check_memory(const PreparedJob& made, int rank, double free, Problems& problems);
/// Bytes of GPU memory that are free on this rank's device; 0 without one.
double free_gpu_memory();

}  // namespace weft
