#pragma once
// How the timestep reaches the tokens: its embedding, and the tables that every norm adds to it
// (spec 4.2, 4.3, 4.5).

#include <array>
#include <initializer_list>
#include <vector>

#include "weft/model/transformer.h"

#include "linear.h"

namespace weft {

/// A stored table [1, n, D] as [n, R, D] for R = 1 and 2 timesteps. Rows that scale hold 1 + scale,
/// the factor that a norm takes (spec 4.3).
struct Modulation {
  std::array<Tensor, 2> by_timesteps;
};
Modulation take_modulation(WeightSource& weights, const std::string& name, std::int64_t n,
                           std::int64_t dim, std::initializer_list<std::int64_t> scaling_rows);

/// Values of the modulation tables for the timesteps at hand (spec 4.2, 4.5).
struct TimeValues {
  Tensor temb;         // [R, D]
  Tensor tproj;        // [6, R, D]
  std::int64_t rows;   // R: 1, or 2 when the first frame has its own timestep
  std::int64_t split;  // tokens before it use row 0
};

/// table + values [n, R, D], as one TokenRows per n.
std::vector<TokenRows> modulate(Ops& ops, const Modulation& table, const Tensor& values,
                                const TimeValues& time);
/// As modulate() with the head's table, n = 2: it is modulated by temb itself, not by its
/// projection (spec 4.4).
std::vector<TokenRows> modulate_head(Ops& ops, const Modulation& table, const TimeValues& time);

class TimeEmbedding {
 public:
  TimeEmbedding() = default;
  TimeEmbedding(const TransformerConfig& config, WeightSource& weights, const std::string& name);
  /// `tokens_per_frame`: where a first frame with a timestep of its own ends.
  [[nodiscard]] TimeValues embed(Ops& ops, const Timestep& timestep,
                                 std::int64_t tokens_per_frame) const;

 private:
  std::int64_t freq_dim_ = 0, dim_ = 0;
  Linear linear_1_, linear_2_, projection_;
};

}  // namespace weft
