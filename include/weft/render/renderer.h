#pragma once
// One job on one group of ranks: prompt in, frames out. Every function is collective over the
// communicator; the stages are called in order by render_clip().

#include <map>
#include <set>
#include <string>
#include <vector>

#include "weft/base/error.h"
#include "weft/base/stages.h"
#include "weft/comm/communicator.h"
#include "weft/comm/fabric.h"
#include "weft/model/loaded_models.h"
#include "weft/ops/ops.h"
#include "weft/render/clip.h"
#include "weft/render/denoise_state.h"
#include "weft/render/plan.h"

namespace weft {

/// Thrown by every rank of the job at the same point: the job has failed, the ranks may go on with
/// another one. Any other exception may be one rank's own, for which its peers wait.
class JobFailure : public Error {
 public:
  using Error::Error;
};

/// Told on rank 0 how far a stage is.
class Progress {
 public:
  virtual ~Progress() = default;
  /// `total` units of work of `stage` lie ahead ("steps", "frames").
  virtual void begin(Stage stage, std::int64_t total, const char* unit) = 0;
  virtual void advance(std::int64_t units) = 0;
  virtual void end() = 0;
};

/// Takes finished frames on rank 0, in order. push() may block: that is the back-pressure that
/// bounds memory.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  /// frames [F, H, W, 3] u8.
  virtual void push(const Tensor& frames) = 0;
};

/// Embeddings of prompts that were encoded lately, on the host of rank 0. A batch hands over the
/// prompts that will come next: they are encoded with the one at hand, so that a text encoder that
/// does not fit beside the transformer comes in once for many jobs.
struct PromptCache {
  std::map<std::string, Tensor> embeds;  // by cleaned prompt, [tokens, text_dim]
  std::vector<std::string> upcoming;     // cleaned
};

/// Latent sizes (rows, columns) that this process has decoded: libraries have chosen and loaded
/// what they need for them.
using DecodedSizes = std::set<std::pair<std::int64_t, std::int64_t>>;

/// What a rank renders with. The first six stay from job to job.
struct RenderContext {
  const Communicator& comm;  // the ranks of the job
  Fabric& fabric;
  Ops& ops;
  LoadedModels& models;
  PromptCache& prompts;
  DecodedSizes& decoded;
  Profile& profile;
  Progress& progress;
  Checkpoints* checkpoints = nullptr;  // none: nothing is kept
};

/// The embeddings of a job's prompts, known to every rank.
struct PromptEmbeds {
  std::vector<Tensor> cond;  // by scene, [tokens, text_dim]
  Tensor uncond;             // [tokens, text_dim]; undefined without guidance
};

/// encode_text: rank 0 encodes what it does not know yet; everyone gets the result.
PromptEmbeds encode_prompts(RenderContext& context, const ModelFolder& model, const Clip& clip);

/// encode_image: rank 0 fits `image` to the clip and encodes it: latents [C, 1, rows, cols] on
/// every rank (normalised). Undefined without an image.
Tensor encode_first_frame(RenderContext& context, const ModelFolder& model, const Clip& clip,
                          const Image* image);

/// Denoised windows and who answers for them.
struct Denoised {
  WindowPlan windows;             // of the last step
  std::vector<int> leader;        // rank, by window
  std::map<int, Tensor> latents;  // [C, window box] on the device, of this rank's group
};

/// denoise: noise is scattered, every step each window's velocity is blended with its neighbours'.
/// Goes on from context.checkpoints where there is something; throws Stopped when told to stop.
Denoised denoise(RenderContext& context, const ModelFolder& model, const Clip& clip,
                 const RenderPlan& plan, const PromptEmbeds& prompts, const Tensor& first_frame);

/// decode, gather (and blend, for tiles): frames reach `sink` on rank 0 in order; null elsewhere.
void decode(RenderContext& context, const ModelFolder& model, const Clip& clip,
            const RenderPlan& plan, Denoised denoised, FrameSink* sink);

/// All of it. `model` is what context.models uses from here on.
void render_clip(RenderContext& context, const ModelFolder& model, const Clip& clip,
                 const RenderPlan& plan, const Image* image, FrameSink* sink);

}  // namespace weft
