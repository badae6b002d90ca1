// The autoencoder's exact decoding shared by 1, 2, 4, ... ranks of one mpirun, without what follows
// it (frames to rank 0, the encoder): seconds, speed-up, serial fraction, bytes of histories.
// Weights and latents are random.
#include <algorithm>
#include <cstdio>
#include <fstream>

#include <nlohmann/json.hpp>

#include "weft/base/stages.h"
#include "weft/model/vae.h"
#include "weft/parallel/ring_history.h"

#include "../model/sizes.h"
#include "../model/values.h"
#include "rank_program.h"

namespace weft::bench {
namespace {

struct Arguments {
  std::string model = "wan2.1-1.3b", precision = "bf16", device = "cuda", json;
  std::int64_t width = 0, height = 0, frames = 0;
  int repeat = 5, warm_up = 1, threads = 1;
};

void describe(CLI::App& app, Arguments& a) {
  app.add_option("--model", a.model, "whose autoencoder")->check(CLI::IsMember(model_names()));
  app.add_option("--width", a.width, "pixels (default: the model's)");
  app.add_option("--height", a.height, "pixels (default: the model's)");
  app.add_option("--frames", a.frames, "(default: the model's)");
  app.add_option("--device", a.device)->check(CLI::IsMember({"cuda", "cpu"}));
  app.add_option("--precision", a.precision, "on CUDA")->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--threads", a.threads, "of the CPU, per rank")->check(CLI::PositiveNumber);
  app.add_option("--repeat", a.repeat, "decodings that count")->check(CLI::PositiveNumber);
  app.add_option("--warm-up", a.warm_up, "decodings before them")->check(CLI::PositiveNumber);
  app.add_option("--json", a.json, "file for the results");
}

/// Chunk 0 is latent frame 0, chunk i latent frame i, on rank i mod ranks, as in a render.
void decode_own(Ops& ops, const VaeDecoder& decoder, const Tensor& z, RingHistory& history,
                const Communicator& group) {
  for (auto chunk = std::int64_t{group.rank()}; chunk < z.dim(1); chunk += group.size()) {
    history.begin_chunk(static_cast<int>(chunk));
    const Tensor video =
        decoder.decode(ops, latent_frames(z, chunk, chunk + 1),
                       chunk == 0 ? ChunkPosition::first : ChunkPosition::later, history);
    ops.to_u8(video, Tensor::empty(video.shape(), DType::u8, ops.device()));
  }
}

/// A size that is new may wait for the device, which no rank may while others depend on it.
void use_once(Ops& ops, const VaeDecoder& decoder, const Tensor& z) {
  LocalHistory history;
  for (const std::int64_t chunk : {0, 1}) {
    static_cast<void>(decoder.decode(ops, latent_frames(z, chunk, chunk + 1),
                                     chunk == 0 ? ChunkPosition::first : ChunkPosition::later,
                                     history));
  }
  ops.synchronize();
}

struct Result {
  double seconds = 0;  // median of the slowest rank's
  double bytes = 0;    // sent by the busiest rank
};

/// Collective over `world`, whose first `ranks` decode.
Result measure(const Arguments& a, int ranks, const Communicator& world, Fabric& fabric, Ops& ops,
               const VaeDecoder& decoder, const Tensor& z) {
  const bool decodes = world.rank() < ranks;
  const Communicator group = world.split(decodes ? 0 : 1);
  std::vector<RingHistory::Layer> layers;
  for (int layer = 0; layer < decoder.history_layers(); ++layer) {
    layers.push_back(
        {decoder.history_shape(layer, z.dim(2), z.dim(3)), decoder.skips_first(layer)});
  }
  Result result;
  std::vector<double> seconds;
  for (int i = 0; i < a.warm_up + a.repeat; ++i) {
    RingHistory history(fabric, group, layers, ops.activation(), static_cast<int>(z.dim(1)));
    ops.synchronize();
    world.barrier();
    const auto sent = static_cast<double>(fabric.bytes_sent());
    const double begin = now_seconds();
    if (decodes) decode_own(ops, decoder, z, history, group);
    history.finish();
    ops.synchronize();
    const double slowest = world.max(decodes ? now_seconds() - begin : 0);
    result.bytes = world.max(static_cast<double>(fabric.bytes_sent()) - sent);
    if (i >= a.warm_up) seconds.push_back(slowest);
  }
  std::ranges::sort(seconds);
  result.seconds = seconds[seconds.size() / 2];
  return result;
}

void run(const Arguments& a, const Session& session) {
  const ModelSizes model = model_sizes(a.model);
  ClipSize clip = model.native;
  if (a.width > 0) clip.width = a.width;
  if (a.height > 0) clip.height = a.height;
  if (a.frames > 0) clip.frames = a.frames;
  const Communicator world = Communicator::world();
  const auto ops = rank_ops(a.device, a.precision, a.threads, session);
  Fabric fabric(world, ops->device());
  fabric.prepare();
  WeightSource weights = WeightSource::random("vae", *ops);
  const VaeDecoder decoder(model.vae, weights);
  const Tensor z = on_device(*ops, random_values(latent_shape(model, clip), 3), DType::f32);
  if (z.dim(1) < 2) fail_input("--frames {}: want 5 or more", clip.frames);
  use_once(*ops, decoder, z);

  nlohmann::json rows = nlohmann::json::array();
  if (world.rank() == 0) {
    std::printf(
        "autoencoder of %s, %ld x %ld, %ld frames, %s\n\n"
        "| ranks | decode s | speed-up | serial fraction | sent per rank, GB |\n"
        "|---|---|---|---|---|\n",
        a.model.c_str(), clip.width, clip.height, clip.frames, ops->describe().c_str());
  }
  double one = 0;
  for (int ranks = 1; ranks <= world.size(); ranks = std::min(2 * ranks, world.size())) {
    const Result r = measure(a, ranks, world, fabric, *ops, decoder, z);
    if (ranks == 1) one = r.seconds;
    const double speedup = one / r.seconds;
    const double serial = ranks > 1 ? (ranks / speedup - 1) / (ranks - 1) : 0;
    if (world.rank() == 0) {
      std::printf("| %d | %.4f | %.3f | %.4f | %.3f |\n", ranks, r.seconds, speedup, serial,
                  r.bytes / 1e9);
      std::fflush(stdout);
    }
    rows.push_back({{"ranks", ranks},
                    {"decode_seconds", r.seconds},
                    {"speedup", speedup},
                    {"serial_fraction", serial},
                    {"bytes_sent_per_rank", r.bytes}});
    if (ranks == world.size()) break;
  }
  if (world.rank() == 0 && !a.json.empty()) {
    std::ofstream(a.json) << nlohmann::json{{"model", a.model},         {"width", clip.width},
                                            {"height", clip.height},    {"frames", clip.frames},
                                            {"precision", a.precision}, {"device", ops->describe()},
                                            {"repeat", a.repeat},       {"rows", rows}}
                                 .dump(1)
                          << "\n";
  }
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  using namespace weft::bench;
  return main_of<Arguments>(
      argc, argv, "The autoencoder's decoding shared by the ranks of one mpirun", describe, run);
}
