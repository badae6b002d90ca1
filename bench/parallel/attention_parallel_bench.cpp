// Self-attention shared by the ranks of one mpirun: what a layer takes in each arrangement of the
// ranks, and what of it the same attention without any exchange would take.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "weft/base/rng.h"
#include "weft/base/stages.h"
#include "weft/parallel/context_parallel.h"

#include "rank_program.h"

namespace weft::bench {
namespace {

struct Arguments {
  std::int64_t tokens = 32760, heads = 12, width = 128;
  std::vector<int> ulysses, chunks{1, 2, 4};
  std::string device = "cuda", precision = "bf16";
  int threads = 1;
  int layers = 10, repeat = 5, warm_up = 2;
  bool whole = true;
};

void describe(CLI::App& app, Arguments& a) {
  app.add_option("--tokens", a.tokens, "of the sequence")->check(CLI::PositiveNumber);
  app.add_option("--heads", a.heads)->check(CLI::PositiveNumber);
  app.add_option("--width", a.width, "of a head")->check(CLI::PositiveNumber);
  app.add_option(
         "--ulysses", a.ulysses,
         "Ulysses ranks, each a divisor of all ranks; the ring has the rest (default: every "
         "divisor up to the heads)")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--chunks", a.chunks, "parts that a rank's heads are cut into")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--device", a.device)->check(CLI::IsMember({"cuda", "cpu"}));
  app.add_option("--precision", a.precision, "on CUDA; the CPU has f32 only")
      ->check(CLI::IsMember({"f32", "bf16", "fp8"}));
  app.add_option("--threads", a.threads, "of the CPU, per rank")->check(CLI::PositiveNumber);
  app.add_option("--layers", a.layers, "attentions asked for one behind the other, as in a model")
      ->check(CLI::PositiveNumber);
  app.add_option("--repeat", a.repeat, "measurements that count")->check(CLI::PositiveNumber);
  app.add_option("--warm-up", a.warm_up, "measurements before them")->check(CLI::NonNegativeNumber);
  app.add_flag("!--no-whole", a.whole, "do not time one rank with all tokens and heads");
}

/// Memory full of unit normals, from which tensors of any shape are taken. A piece of them is drawn
/// and repeated: for timing, values must differ, not be independent.
class Values {
 public:
  Values(const Ops& ops, std::int64_t count)
      : all_(Tensor::empty({count + 3 * step}, ops.activation(), ops.device())) {
    std::vector<float> drawn(static_cast<std::size_t>(std::min(all_.numel(), piece)));
    philox_randn(1, 0, drawn);
    const Tensor normals =
        Tensor::from(drawn, {std::ssize(drawn)}).as(ops.activation()).to(ops.device());
    for (std::int64_t i = 0; i < all_.numel(); i += piece) {
      const std::int64_t end = std::min(all_.numel(), i + piece);
      copy(normals.slice(0, end - i), all_.slice(i, end));
    }
  }
  /// The i-th of three tensors that overlap at a distance.
  [[nodiscard]] Tensor take(const Shape& shape, int i) const {
    return all_.slice(i * step, i * step + shape.numel()).reshape(shape);
  }

 private:
  static constexpr std::int64_t piece = std::int64_t{1} << 22;
  static constexpr std::int64_t step = 1000 * 64;
  Tensor all_;
};

struct Grid {
  int ulysses, ring;
};

/// What rank 0 computes in a layer, without any exchange: the same calls on its own values.
class Alone {
 public:
  Alone(Ops& ops, const Values& values, const Arguments& a, Grid grid, int chunks)
      : scale_(1 / std::sqrt(static_cast<float>(a.width))), fewest_(a.tokens / grid.ring) {
    const std::int64_t share = a.heads / grid.ulysses;
    const std::int64_t parts = grid.ulysses == 1 ? 1 : std::min<std::int64_t>(chunks, share);
    for (std::int64_t p = 0; p < parts; ++p) {
      const std::int64_t heads = share * (p + 1) / parts - share * p / parts;
      const auto take = [&](int r, int which) {
        const std::int64_t tokens = a.tokens * (r + 1) / grid.ring - a.tokens * r / grid.ring;
        return values.take({tokens, heads, a.width}, which);
      };
      Part part{take(0, 0), take(0, 1), {}, {}, {}};
      part.out = Tensor::empty(part.q.shape(), ops.activation(), ops.device());
      for (int r = 1; r < grid.ring; ++r) {
        const Tensor keys = take(r, 1);
        part.sizes.push_back(keys.dim(0));
        part.arrived.push_back(attention(ops, part)->pack(keys, keys));
      }
      parts_.push_back(part);
    }
  }

  void run(Ops& ops) const {
    for (const Part& p : parts_) {
      if (p.arrived.empty()) {
        ops.attention(p.q, p.keys, p.keys, {.scale = scale_}, p.out);
        continue;
      }
      const auto blocks = attention(ops, p);
      blocks->add(blocks->pack(p.keys, p.keys), p.keys.dim(0));
      for (std::size_t r = 0; r < p.arrived.size(); ++r) blocks->add(p.arrived[r], p.sizes[r]);
    }
  }

 private:
  struct Part {
    Tensor q, keys, out;                       // this rank's; keys are values, too
    std::vector<std::vector<Tensor>> arrived;  // blocks of the others
    std::vector<std::int64_t> sizes;           // their tokens
  };
  [[nodiscard]] std::unique_ptr<BlockAttention> attention(Ops& ops, const Part& p) const {
    return ops.block_attention(p.q, scale_, fewest_, p.out);
  }

  float scale_;
  std::int64_t fewest_;
  std::vector<Part> parts_;
};

class Bench {
 public:
  Bench(const Arguments& a, const Session& session)
      : a_(a),
        world_(Communicator::world()),
        ops_(rank_ops(a.device, a.precision, a.threads, session)),
        fabric_(world_, ops_->device()),
        values_(*ops_, most_values()),
        scale_(1 / std::sqrt(static_cast<float>(a.width))) {
    fabric_.prepare();
  }

  void run() {
    const std::vector<Grid> arrangements = grids();  // refuses wrong ones before anything is timed
    print("{} ranks, {}: {} tokens, {} heads of {}\n", world_.size(), ops_->describe(), a_.tokens,
          a_.heads, a_.width);
    const double whole = a_.whole ? time_whole() : 0;
    if (a_.whole) print("one rank with all of it: {:.3f} ms\n", 1e3 * whole);
    print("{:>7} {:>4} {:>6} {:>9} {:>13} {:>10} {:>9} {:>8}\n", "ulysses", "ring", "chunks", "ms",
          "attention ms", "exposed ms", "MB sent", "speed-up");
    for (const Grid& grid : arrangements) {
      // Without Ulysses heads are not cut.
      const std::vector<int> chunks = grid.ulysses == 1 ? std::vector{1} : a_.chunks;
      for (const int c : chunks) row(grid, c, whole);
    }
  }

 private:
  template <class... T>
  void print(fmt::format_string<T...> format, T&&... values) const {
    if (world_.rank() != 0) return;
    fmt::print(format, std::forward<T>(values)...);
    static_cast<void>(std::fflush(stdout));  // a row at a time, also into a file
  }

  [[nodiscard]] std::int64_t most_values() const {
    const std::int64_t of_all = a_.tokens * a_.heads * a_.width;
    return a_.whole ? of_all : of_all / world_.size() * 2 + a_.heads * a_.width;
  }

  [[nodiscard]] std::vector<Grid> grids() const {
    std::vector<Grid> all;
    for (int u = 1; u <= world_.size() && a_.ulysses.empty(); ++u) {
      if (world_.size() % u == 0 && u <= a_.heads) all.push_back({u, world_.size() / u});
    }
    for (const int u : a_.ulysses) {
      if (world_.size() % u != 0 || u > a_.heads) {
        fail_input("--ulysses {}: want a divisor of {} ranks, at most {} heads", u, world_.size(),
                   a_.heads);
      }
      all.push_back({u, world_.size() / u});
    }
    return all;
  }

  /// Seconds of one call, of several one behind the other; those of the slowest rank, the median
  /// of the measurements.
  template <class F>
  double time(F call) {
    std::vector<double> seconds;
    for (int i = 0; i < a_.warm_up + a_.repeat; ++i) {
      ops_->synchronize();
      world_.barrier();
      const double start = now_seconds();
      for (int layer = 0; layer < a_.layers; ++layer) call();
      ops_->synchronize();
      const double each = world_.max((now_seconds() - start) / a_.layers);
      if (i >= a_.warm_up) seconds.push_back(each);
    }
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
  }

  double time_whole() {
    const Shape shape{a_.tokens, a_.heads, a_.width};
    const Tensor out = Tensor::empty(shape, ops_->activation(), ops_->device());
    const Tensor q = values_.take(shape, 0), k = values_.take(shape, 1), v = values_.take(shape, 2);
    return time([&] { LocalAttention().run(*ops_, q, k, v, scale_, out); });
  }

  void row(Grid grid, int chunks, double whole) {
    ContextParallelAttention attention(fabric_, world_, grid.ulysses, grid.ring, a_.heads, chunks);
    const Shape shape{attention.range(a_.tokens).size(), a_.heads, a_.width};
    const Tensor out = Tensor::empty(shape, ops_->activation(), ops_->device());
    const Tensor q = values_.take(shape, 0), k = values_.take(shape, 1), v = values_.take(shape, 2);
    attention.run(*ops_, q, k, v, scale_, out);
    const double megabytes = 1e-6 * world_.max(static_cast<double>(attention.bytes_sent()));
    const double shared = time([&] { attention.run(*ops_, q, k, v, scale_, out); });
    const Alone own(*ops_, values_, a_, grid, chunks);
    const double alone = time([&] { own.run(*ops_); });
    print("{:>7} {:>4} {:>6} {:>9.3f} {:>13.3f} {:>10.3f} {:>9.1f} {:>8}\n", grid.ulysses,
          grid.ring, chunks, 1e3 * shared, 1e3 * alone, 1e3 * (shared - alone), megabytes,
          a_.whole ? fmt::format("{:.2f}", whole / shared) : "-");
  }

  const Arguments& a_;
  Communicator world_;
  std::unique_ptr<Ops> ops_;
  Fabric fabric_;
  Values values_;
  float scale_;
};

void run(const Arguments& a, const Session& session) {
  if (a.tokens < session.size()) {
    fail_input("--tokens {}: want at least one for each of {} ranks", a.tokens, session.size());
  }
  Bench(a, session).run();
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  using namespace weft::bench;
  return main_of<Arguments>(argc, argv, "Times self-attention shared by the ranks of mpirun",
                            describe, run);
}
