#pragma once
// One rank of a scaling measurement: renders with the first N ranks, or waits.

#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "weft/run/engine.h"
#include "weft/run/rendered_clip.h"

namespace weft {

/// The job on one number of ranks.
struct ScaleCase {
  int ranks = 1;
  Job job;
  PreparedJob prepared;                 // on the ranks that render
  std::unique_ptr<Communicator> group;  // of those ranks; on the others, the rest of the world
};

class ScaleWorker {
 public:
  /// `cases` and everything else must outlive this. Collective over `world`.
  ScaleWorker(std::map<int, ScaleCase>& cases, const Communicator& world, const Session& session);

  /// One measured run, after a short one where the engine is new. Collective over `world`.
  void run(int ranks, const std::filesystem::path& clip, const std::filesystem::path& record);

 private:
  /// Whether the models of all engines fit into memory side by side.
  [[nodiscard]] bool all_fit() const;
  Engine& ready_engine(ScaleCase& made);
  void render(ScaleCase& made, const std::filesystem::path& clip,
              const std::filesystem::path& record);
  RenderedClip render_once(const Job& job, const PreparedJob& prepared, Engine& engine);
  void wait_for_renderers() const;

  std::map<int, ScaleCase>& cases_;
  const Communicator& world_;
  const Session& session_;
  int threads_;    // the same for every number of ranks
  bool keep_all_;  // an engine for each number of ranks, else for the current one
  int current_ = 0;
  std::map<int, std::unique_ptr<Engine>> engines_;
};

}  // namespace weft
