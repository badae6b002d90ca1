// Receives denoised latents in pieces, hands 8-bit frames to rank 0's sink in order.
//
// Exact decoding: latent-frame chunk i belongs to rank i % ranks. The ranks run as a pipeline:
// layer histories travel from the rank of chunk i to the rank of chunk i + 1 (RingHistory), so
// every frame is computed with exactly the inputs it has on one rank, in calls of the same shapes.
#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <optional>
#include <thread>

#include "weft/base/activity.h"
#include "weft/base/log.h"
#include "weft/device/host_copy.h"
#include "weft/parallel/ring_history.h"
#include "weft/parallel/windows.h"

#include "stages.h"

namespace weft {
namespace {

std::int64_t frames_of(const ModelFolder& model, const Box& piece) {
  const Range& frames = piece.frames();
  return frames.begin == 0 ? 1 + (frames.size() - 1) * model.time_factor()
                           : frames.size() * model.time_factor();
}

Tensor to_pixels(Ops& ops, const Tensor& video) {
  Tensor pixels = Tensor::empty(video.shape(), DType::u8, ops.device());
  ops.to_u8(video, pixels);
  return pixels.to(DeviceKind::cpu);
}

/// Sends pieces to rank 0 without running ahead of it: a synchronous send is not done before rank 0
/// takes it, and at most two are kept.
class PieceSender {
 public:
  explicit PieceSender(RenderContext& context) : context_(context) {}
  void send(const Tensor& piece, int tag) {
    while (under_way_.size() >= 2) retire();
    under_way_.emplace_back(
        piece, context_.comm.start_synchronous_send({piece.raw(), piece.bytes()}, 0, tag));
  }
  void finish() {
    while (!under_way_.empty()) retire();
  }

 private:
  void retire() {
    const ScopedStage stage(context_.profile, Stage::wait);
    under_way_.front().second.wait();
    under_way_.pop_front();
  }
  RenderContext& context_;
  std::deque<std::pair<Tensor, Communicator::Pending>> under_way_;
};

Tensor receive_piece(RenderContext& context, const Shape& shape, DType dtype, int from) {
  ScopedStage stage(context.profile, Stage::gather);
  Tensor piece = Tensor::empty(shape, dtype);
  context.comm.receive({piece.raw(), piece.bytes()}, from, tag_frames);
  stage.add_bytes(static_cast<std::int64_t>(piece.bytes()));
  return piece;
}

std::size_t largest_piece(const ModelFolder& model, const Clip& clip, const RenderPlan& plan) {
  std::int64_t frames = 0;
  for (const Box& piece : plan.pieces) frames = std::max(frames, frames_of(model, piece));
  return static_cast<std::size_t>(frames * clip.height * clip.width * 3);
}

void decode_exact(RenderContext& context, const ModelFolder& model, const Clip& clip,
                  const RenderPlan& plan, std::vector<LatentPiece>& pieces,
                  const VaeDecoder& decoder, RingHistory& history, std::array<HostCopy, 2>& copies,
                  FrameSink* sink) {
  const int rank = context.comm.rank();
  const int count = static_cast<int>(plan.pieces.size());
  PieceSender sender(context);

  int delivered = 0;  // pieces that rank 0's sink has
  const auto deliver = [&](const Tensor& frames) {
    const ScopedStage stage(context.profile, Stage::wait);
    sink->push(frames);
    context.progress.advance(frames.dim(0));
    ++delivered;
  };
  // Pieces of other ranks, up to `end`, in order.
  const auto receive_until = [&](int end) {
    while (delivered < end) {
      const auto& piece = plan.pieces[static_cast<std::size_t>(delivered)];
      deliver(receive_piece(context, {frames_of(model, piece), clip.height, clip.width, 3},
                            DType::u8, plan.piece_owner[static_cast<std::size_t>(delivered)]));
    }
  };

  // A GPU is given its next chunk before the host waits for the one before, so that it goes on
  // while frames travel. The CPU has computed a chunk when it was asked for.
  const std::size_t ahead = context.ops.device() == DeviceKind::cuda ? 1 : 0;
  std::deque<std::pair<int, HostCopy*>> under_way;
  const auto hand_over = [&] {
    const auto [p, copy] = under_way.front();
    under_way.pop_front();
    const ScopedContext doing(fmt::format("handing over chunk {} of {}", p, count));
    if (rank == 0) receive_until(p);
    if (!copy->done()) {  // spans of a piece hold what it was asked for with; this one none
      const ScopedStage stage(context.profile, Stage::decode);
      while (!copy->done()) std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    const Tensor frames = copy->take();
    rank == 0 ? deliver(frames) : sender.send(frames, tag_frames);
  };

  for (auto& [p, latents] : pieces) {
    const ScopedContext doing(fmt::format("decoding chunk {} of {}", p, count));
    set_activity(Stage::decode, p);
    log_debug("decode: chunk {} of {}", p, count);
    // CUDA may let the host wait for the GPU, which waits for other ranks' histories; they may wait
    // for rank 0, and it for a message that only moves while this rank is inside MPI.
    if (ahead > 0) sender.finish();
    HostCopy& copy = copies[static_cast<std::size_t>(p / context.comm.size()) % copies.size()];
    {
      ScopedStage stage(context.profile, Stage::decode, p);
      const Box& piece = plan.pieces[static_cast<std::size_t>(p)];
      stage.add_flops(chunk_flops(model, piece, piece.frames()));
      const std::int64_t sent_before = context.fabric.bytes_sent();
      history.begin_chunk(p);
      const auto position = p == 0 ? ChunkPosition::first : ChunkPosition::later;
      const Tensor video =
          decoder.decode(context.ops, latents.to(context.ops.device()), position, history);
      const Tensor pixels = Tensor::empty(video.shape(), DType::u8, context.ops.device());
      context.ops.to_u8(video, pixels);
      copy.start(pixels);
      latents = {};
      stage.add_bytes(context.fabric.bytes_sent() - sent_before);  // histories
    }
    under_way.emplace_back(p, &copy);
    if (under_way.size() > ahead) hand_over();
  }
  while (!under_way.empty()) hand_over();
  if (rank == 0) receive_until(count);
  sender.finish();
}

/// Blends the tiles of one chunk of frames: sum over tiles, in tile order, of the partition of
/// unity's weights times the tile.
void decode_tiles(RenderContext& context, const ModelFolder& model, const Clip& clip,
                  const RenderPlan& plan, std::vector<LatentPiece>& pieces,
                  const VaeDecoder& decoder, FrameSink* sink) {
  const int rank = context.comm.rank();
  const std::size_t columns = plan.tiles[1].ranges.size();
  std::map<int, LocalHistory> histories;
  PieceSender sender(context);
  for (const Range& chunk : decode_chunks(clip.latents.frames().size(), 1)) {
    const auto position = chunk.begin == 0 ? ChunkPosition::first : ChunkPosition::later;
    const std::int64_t frames = chunk.begin == 0 ? 1 : chunk.size() * model.time_factor();
    set_activity(Stage::decode, chunk.begin);
    log_debug("decode: chunk {} of {}", chunk.begin, clip.latents.frames().size());
    std::map<int, Tensor> mine;  // [frames, tile rows, tile cols, 3]
    for (const auto& [p, latents] : pieces) {
      ScopedStage stage(context.profile, Stage::decode, p);
      Box box = plan.pieces[static_cast<std::size_t>(p)];
      const BoxTensor whole_tile{box, latents};
      box.axis[0] = chunk;
      stage.add_flops(chunk_flops(model, box, chunk));
      const Tensor z = pack_box(whole_tile, box).to(context.ops.device());
      mine[p] = decoder.decode(context.ops, z, position, histories[p]).to(DeviceKind::cpu);
    }
    if (rank != 0) {
      for (const auto& [p, tile] : mine) sender.send(tile, tag_frames);
      continue;
    }
    Tensor sum = Tensor::zeros({frames, clip.height, clip.width, 3});
    for (std::size_t p = 0; p < plan.pieces.size(); ++p) {
      const Range& y = plan.tiles[0].ranges[p / columns];
      const Range& x = plan.tiles[1].ranges[p % columns];
      const auto& weight_y = plan.tiles[0].weights[p / columns];
      const auto& weight_x = plan.tiles[1].weights[p % columns];
      const int owner = plan.piece_owner[p];
      const Tensor tile =
          owner == 0 ? mine.at(static_cast<int>(p))
                     : receive_piece(context, {frames, y.size(), x.size(), 3}, DType::f32, owner);
      const ScopedStage stage(context.profile, Stage::blend);
      for (std::int64_t f = 0; f < frames; ++f) {
        for (std::int64_t r = 0; r < y.size(); ++r) {
          const float* from = tile.data<float>() + (f * y.size() + r) * x.size() * 3;
          float* to =
              sum.data<float>() + ((f * clip.height + y.begin + r) * clip.width + x.begin) * 3;
          for (std::int64_t c = 0; c < x.size() * 3; ++c) {
            // Clamped before blending, as each tile is a picture of its own.
            to[c] += weight_y[static_cast<std::size_t>(r)] *
                     weight_x[static_cast<std::size_t>(c / 3)] * std::clamp(from[c], -1.0F, 1.0F);
          }
        }
      }
    }
    Tensor pixels = Tensor::empty(sum.shape(), DType::u8);
    {
      const ScopedStage stage(context.profile, Stage::blend);
      pixels = to_pixels(context.ops, sum.to(context.ops.device()));
    }
    const ScopedStage stage(context.profile, Stage::wait);
    sink->push(pixels);
    context.progress.advance(frames);
  }
  sender.finish();
}

/// A first use of a size may wait for the whole device: a library is loaded or chooses a kernel.
/// While ranks wait for each other's histories that could lock them up (the transfers under way
/// would have to end, and end only when a peer comes to its next layer, which may be waiting
/// likewise), so each rank decodes two chunks of zeros by itself before.
void use_once(RenderContext& context, const Clip& clip, const VaeDecoder& decoder) {
  const std::int64_t rows = clip.latents.rows().size(), cols = clip.latents.cols().size();
  if (!context.decoded.emplace(rows, cols).second || context.comm.size() == 1 ||
      context.ops.device() == DeviceKind::cpu) {
    return;
  }
  const ScopedStage stage(context.profile, Stage::load);
  LocalHistory history;
  const Tensor z = Tensor::zeros({clip.channels, 1, rows, cols}, DType::f32, context.ops.device());
  for (const auto position : {ChunkPosition::first, ChunkPosition::later}) {
    static_cast<void>(to_pixels(context.ops, decoder.decode(context.ops, z, position, history)));
  }
}

}  // namespace

void decode(RenderContext& context, const ModelFolder& model, const Clip& clip,
            const RenderPlan& plan, Denoised denoised, FrameSink* sink) {
  std::vector<LatentPiece> pieces;
  {
    ScopedStage stage(context.profile, Stage::exchange);
    const auto all = context.fabric.link(context.comm);
    pieces = gather_pieces(*all, denoised.windows, denoised.leader, clip.channels,
                           context.ops.device(), denoised.latents, plan.pieces, plan.piece_owner);
    denoised.latents.clear();
    stage.add_bytes(all->bytes_sent());
  }
  const bool idle = pieces.empty() && context.comm.rank() != 0;  // more ranks than work
  const VaeDecoder* decoder = idle ? nullptr : &context.models.decoder();
  context.progress.begin(Stage::decode, clip.frames, "frames");
  if (clip.decode == DecodeKind::exact) {
    const std::int64_t rows = clip.latents.rows().size(), cols = clip.latents.cols().size();
    std::vector<RingHistory::Layer> layers;
    for (int layer = 0; decoder != nullptr && layer < decoder->history_layers(); ++layer) {
      layers.push_back({decoder->history_shape(layer, rows, cols), decoder->skips_first(layer)});
    }
    // Made on every rank, also an idle one: it splits off a communicator of its own.
    RingHistory history(context.fabric, context.comm, std::move(layers), context.ops.activation(),
                        static_cast<int>(plan.pieces.size()));
    if (!idle) {
      const std::size_t most = largest_piece(model, clip, plan);
      std::array<HostCopy, 2> copies{HostCopy(context.ops.device(), most),
                                     HostCopy(context.ops.device(), most)};
      use_once(context, clip, *decoder);
      decode_exact(context, model, clip, plan, pieces, *decoder, history, copies, sink);
    }
    history.finish();
  } else if (!idle) {
    decode_tiles(context, model, clip, plan, pieces, *decoder, sink);
  }
  context.progress.end();
}

}  // namespace weft
