#pragma once
// The parts of a model folder that are in memory, loaded when they are first asked for and kept
// from job to job.

#include <functional>
#include <optional>

#include "weft/model/model_folder.h"

namespace weft {

enum class ModelPart : std::uint8_t { text_encoder, transformer, transformer_2, decoder, encoder };
const char* part_name(ModelPart part);  // "text encoder", ...

/// What stays when another part comes in. `one`: nothing, so that memory holds the largest part and
/// not their sum. `all`: everything, for many jobs with one model.
enum class Keep : std::uint8_t { one, all };

class LoadedModels {
 public:
  /// Runs `load`, which loads `part`, and may time it.
  using Around = std::function<void(ModelPart part, const std::function<void()>& load)>;

  /// Peers and sharding of `placement` are for the transformers, which every peer loads at the same
  /// point; the other parts are loaded by whoever asks for them, alone.
  LoadedModels(const Placement& placement, Keep keep) : placement_(placement), keep_(keep) {}

  /// True when `model` is another folder than the one in use, or its files have changed: use()
  /// would drop what is loaded. Ranks that share transformers must come to the same answer: where
  /// one differs, all clear() first.
  [[nodiscard]] bool differs(const ModelFolder& model) const;
  /// From now on parts come from `model` (a copy is kept). Drops those of another folder or of
  /// files that have changed. `around`, if any, is called for every loading.
  void use(const ModelFolder& model, Around around = {});

  // Loaded when they are not there. References are valid until use() drops, release(), clear(), or,
  // with Keep::one, until another part is asked for. Error as ModelFolder::load_... .
  const TextEncoder& text_encoder();
  /// `part`: transformer or transformer_2. Collective over the placement's peers when it loads.
  const WanTransformer& transformer(ModelPart part);
  const VaeDecoder& decoder();
  const VaeEncoder& encoder();

  [[nodiscard]] bool loaded(ModelPart part) const;
  void release(ModelPart part);
  /// With Keep::one nothing that is loaded is wanted any more: drops it now, so that what comes
  /// before the next part has its memory.
  void end_of_stage();
  void clear();

 private:
  /// Makes room, then runs `load` with its context and the caller's `around`.
  void bring_in(ModelPart part, const std::function<void()>& load);

  Placement placement_;
  Keep keep_;
  std::optional<ModelFolder> model_;
  Around around_;
  std::optional<TextEncoder> text_encoder_;
  std::optional<WanTransformer> transformer_, transformer_2_;
  std::optional<VaeDecoder> decoder_;
  std::optional<VaeEncoder> encoder_;
};

}  // namespace weft
