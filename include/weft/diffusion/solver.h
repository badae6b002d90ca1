#pragma once
// Solvers take latents from one noise level to the next, given the velocity there (spec 5). They
// work element by element, so any box of a volume can be stepped by itself.

#include <array>
#include <memory>
#include <string>

#include "weft/diffusion/schedule.h"
#include "weft/diffusion/state.h"
#include "weft/ops/ops.h"

namespace weft {

class Solver {
 public:
  virtual ~Solver() = default;
  /// Moves x (in place) from sigmas[i] to sigmas[i + 1]. Steps come in order, each once.
  virtual void step(Ops& ops, int i, const Tensor& velocity, Tensor x) = 0;
  /// What is remembered from step to step.
  virtual void visit(StateVisitor& visitor) = 0;
};

/// UniPC: predictor and corrector of order 2 ("bh2"), lower orders at both ends.
class UniPc final : public Solver {
 public:
  explicit UniPc(Schedule schedule);
  void step(Ops& ops, int i, const Tensor& velocity, Tensor x) override;
  void visit(StateVisitor& visitor) override;

 private:
  Schedule schedule_;
  std::vector<double> alpha_, lambda_;  // 1 - sigma in float32; log(alpha / sigma)
  std::array<Tensor, 2> model_;         // denoised estimates m_{i-1}, m_{i-2}
  Tensor corrected_;                    // x_c of step i - 1
  int order_ = 0;                       // of the predictor of step i - 1
};

/// First order: x += (sigma_{i+1} - sigma_i) velocity.
class FlowEuler final : public Solver {
 public:
  explicit FlowEuler(Schedule schedule) : schedule_(std::move(schedule)) {}
  void step(Ops& ops, int i, const Tensor& velocity, Tensor x) override;
  void visit(StateVisitor& /*visitor*/) override {}

 private:
  Schedule schedule_;
};

/// `sampler` is "unipc" or "euler".
Schedule make_schedule(const std::string& sampler, int steps, double shift,
                       std::int64_t train_steps);
std::unique_ptr<Solver> make_solver(const std::string& sampler, const Schedule& schedule);

}  // namespace weft
