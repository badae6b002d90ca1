#pragma once
// The stages of a render as work that can be repeated: models of random weights, random inputs.

#include <functional>
#include <string>

#include "weft/ops/ops.h"

#include "sizes.h"

namespace weft::bench {

struct Workload {
  std::string stage;          // "forward"
  std::string size;           // "832x480x81, 32760 tokens"
  double flops;               // of one run, by weft/grid/cost.h
  std::function<void()> run;  // owns the model and its inputs
};

/// One forward of the transformer, half of a step with guidance: the prompt's keys and values
/// exist, with all pad rows up to 512 as one key (spec 4.2).
Workload make_forward(Ops& ops, const ModelSizes& model, const ClipSize& clip,
                      std::int64_t prompt_tokens);
/// The text encoder over a prompt of `tokens` tokens.
Workload make_text(Ops& ops, const ModelSizes& model, std::int64_t tokens);
/// Latents to 8-bit frames on the host, chunk by chunk as a render delivers them; chunks after the
/// first hold `frames_per_chunk` latent frames.
Workload make_decode(Ops& ops, const ModelSizes& model, const ClipSize& clip,
                     std::int64_t frames_per_chunk);

}  // namespace weft::bench
