#pragma once
// A Wan model folder as published: model_index.json and one folder per component (spec 1).

#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "weft/model/text_encoder.h"
#include "weft/model/transformer.h"
#include "weft/model/vae.h"

namespace weft {

/// scheduler/scheduler_config.json, as far as Wan uses it.
struct SchedulerConfig {
  double flow_shift = 1;
  std::int64_t train_steps = 1000;
};

struct ModelFolder {
  std::filesystem::path path;
  std::string name;          // the folder's own name, for records and metadata
  bool two_experts = false;  // transformer_2 takes the low-noise steps (2.2 A14B)
  std::optional<double> boundary_ratio;
  bool expand_timesteps = false;  // per-token timesteps, first frame may be given (2.2 5B)
  TextConfig text;
  TransformerConfig transformer, transformer_2;
  VaeConfig vae;
  SchedulerConfig scheduler;
  /// The clip size the model was trained at: width, height (pixels), frames. From
  /// model_index.json's optional "weft_native_size", else known by the transformer's sizes;
  /// nothing for a transformer nobody knows.
  std::optional<std::array<std::int64_t, 3>> native_size;

  /// Reads every configuration; all that is wrong goes to `problems` ("not a model folder", missing
  /// components, image-to-video models of Wan 2.1, configurations that do not fit each other).
  static ModelFolder read(const std::filesystem::path& path, Problems& problems);
  /// Opens every weight file and compares names and shapes with what the configurations ask for.
  void check_weights(Problems& problems) const;

  [[nodiscard]] std::shared_ptr<const TensorFiles> files(const std::string& component) const;
  // Where `placement` says (an Ops converts: on its device, in its types, by this rank alone).
  // Error naming the file when one of the component's weights is not as it was in read().
  [[nodiscard]] TextEncoder load_text_encoder(const Placement& placement) const;
  [[nodiscard]] WanTransformer load_transformer(const std::string& component,
                                                const Placement& placement) const;
  [[nodiscard]] VaeDecoder load_decoder(const Placement& placement) const;
  [[nodiscard]] VaeEncoder load_encoder(const Placement& placement) const;

  /// Size and time of every weight file of the folder, as read() found them.
  std::map<std::filesystem::path, FileStamp> stamps;
  /// Error when a weight file of `component` has changed since read(), is gone, or is new.
  void check_unchanged(const std::string& component) const;

  /// Pixels per latent cell along rows and columns; frames per latent frame.
  [[nodiscard]] std::int64_t space_factor() const { return vae.space_factor; }
  [[nodiscard]] std::int64_t time_factor() const { return vae.time_factor; }
};

}  // namespace weft
