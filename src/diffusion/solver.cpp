#include "weft/diffusion/solver.h"

#include <algorithm>
#include <cmath>

namespace weft {

UniPc::UniPc(Schedule schedule) : schedule_(std::move(schedule)) {
  for (const float sigma : schedule_.sigmas) {
    // The reference forms alpha in float32: 1 - (1 - 1e-6) is then 1.01328e-6 (spec 8, trap 3).
    alpha_.push_back(1.0F - sigma);
    lambda_.push_back(std::log(alpha_.back()) - std::log(static_cast<double>(sigma)));
  }
}

void UniPc::step(Ops& ops, int i, const Tensor& velocity, Tensor x) {
  const auto at = static_cast<std::size_t>(i);
  const auto sigma = [&](std::size_t j) { return static_cast<double>(schedule_.sigmas[j]); };
  const auto f = [](double value) { return static_cast<float>(value); };
  const int steps = static_cast<int>(schedule_.timesteps.size());

  Tensor now = Tensor::empty(x.shape(), DType::f32, x.device());  // denoised estimate m_i
  ops.combine(std::array<Term, 2>{Term{1, x}, Term{f(-sigma(at)), velocity}}, now);
  const Tensor& last = model_[0];    // m_{i-1}
  const Tensor& before = model_[1];  // m_{i-2}

  if (i > 0) {  // correct x with what is now known at this level; m_i is not recomputed
    const double h = lambda_[at] - lambda_[at - 1];
    const double e = std::expm1(-h);
    const double carry = sigma(at) / sigma(at - 1);
    const double ae = alpha_[at] * e;
    if (order_ == 1) {
      ops.combine(std::array<Term, 3>{Term{f(carry), corrected_}, Term{f(-0.5 * ae), last},
                                      Term{f(-0.5 * ae), now}},
                  x);
    } else {
      const double r = (lambda_[at - 2] - lambda_[at - 1]) / h;
      const double p1 = e / -h - 1;
      const double b1 = p1 / e;
      const double p2 = p1 / -h - 0.5;
      const double b2 = 2 * p2 / e;
      const double rho0 = (b1 - b2) / (1 - r);
      const double rho1 = b1 - rho0;
      ops.combine(std::array<Term, 4>{Term{f(carry), corrected_},
                                      Term{f(-ae * (1 - rho0 / r - rho1)), last},
                                      Term{f(-ae * rho0 / r), before}, Term{f(-ae * rho1), now}},
                  x);
    }
  }
  if (!corrected_.defined()) corrected_ = Tensor::empty(x.shape(), DType::f32, x.device());
  copy(x, corrected_);

  const int order = std::min({2, steps - i, i + 1});
  if (schedule_.sigmas[at + 1] == 0) {
    copy(now, x);  // lambda is infinite there: the limit is the denoised estimate itself
  } else {
    const double h = lambda_[at + 1] - lambda_[at];
    const double e = std::expm1(-h);
    const double carry = sigma(at + 1) / sigma(at);
    const double ae = alpha_[at + 1] * e;
    if (order == 1) {
      ops.combine(std::array<Term, 2>{Term{f(carry), corrected_}, Term{f(-ae), now}}, x);
    } else {
      const double r = (lambda_[at - 1] - lambda_[at]) / h;
      ops.combine(std::array<Term, 3>{Term{f(carry), corrected_}, Term{f(-ae * (1 - 0.5 / r)), now},
                                      Term{f(-0.5 * ae / r), last}},
                  x);
    }
  }
  model_[1] = model_[0];
  model_[0] = now;
  order_ = order;
}

void UniPc::visit(StateVisitor& visitor) {
  visitor.tensor("model_0", model_[0]);
  visitor.tensor("model_1", model_[1]);
  visitor.tensor("corrected", corrected_);
  visitor.integer("order", order_);
}

void FlowEuler::step(Ops& ops, int i, const Tensor& velocity, Tensor x) {
  const auto at = static_cast<std::size_t>(i);
  const float step = schedule_.sigmas[at + 1] - schedule_.sigmas[at];
  ops.combine(std::array<Term, 2>{Term{1, x}, Term{step, velocity}}, x);
}

Schedule make_schedule(const std::string& sampler, int steps, double shift,
                       std::int64_t train_steps) {
  return sampler == "euler" ? euler_schedule(steps, shift, train_steps)
                            : unipc_schedule(steps, shift, train_steps);
}

std::unique_ptr<Solver> make_solver(const std::string& sampler, const Schedule& schedule) {
  if (sampler == "euler") return std::make_unique<FlowEuler>(schedule);
  WEFT_ASSERT(sampler == "unipc", "sampler \"{}\"", sampler);
  return std::make_unique<UniPc>(schedule);
}

}  // namespace weft
