// Receives a timestep, hands the rows that norms apply to the transformer.
#include "modulation.h"

#include <algorithm>
#include <cmath>

namespace weft {

Modulation take_modulation(WeightSource& weights, const std::string& name, std::int64_t n,
                           std::int64_t dim, std::initializer_list<std::int64_t> scaling_rows) {
  const Tensor stored = weights.take_f32(name, {1, n, dim});
  if (!stored.defined()) return {};
  const Tensor table = stored.to(DeviceKind::cpu).clone();
  for (const std::int64_t row : scaling_rows) {
    for (float& scale : table.reshape({n, dim}).slice(row, row + 1).span()) scale += 1;
  }
  Modulation made;
  for (std::int64_t copies = 1; copies <= 2; ++copies) {
    const Tensor rows = Tensor::empty({n, copies, dim});
    for (std::int64_t i = 0; i < n * copies; ++i) {
      std::copy_n(table.data<float>() + i / copies * dim, dim, rows.data<float>() + i * dim);
    }
    made.by_timesteps.at(static_cast<std::size_t>(copies - 1)) = rows.to(stored.device());
  }
  return made;
}

std::vector<TokenRows> modulate(Ops& ops, const Modulation& table, const Tensor& values,
                                const TimeValues& time) {
  const Tensor& stored = table.by_timesteps.at(static_cast<std::size_t>(time.rows - 1));
  const Tensor sum = Tensor::empty(stored.shape(), DType::f32, ops.device());
  ops.combine(std::array<Term, 2>{Term{1, stored}, Term{1, values}}, sum);
  std::vector<TokenRows> rows;
  for (std::int64_t i = 0; i < stored.dim(0); ++i) {
    rows.push_back({sum.slice(i, i + 1).reshape({time.rows, stored.dim(2)}), time.split});
  }
  return rows;
}

std::vector<TokenRows> modulate_head(Ops& ops, const Modulation& table, const TimeValues& time) {
  const Tensor twice = Tensor::empty({2, time.rows, time.temb.dim(1)}, DType::f32, ops.device());
  for (std::int64_t i = 0; i < 2; ++i) copy(time.temb, twice.slice(i, i + 1));
  return modulate(ops, table, twice, time);
}

// The time embedding itself stays float32 in every precision (spec 4.2).
TimeEmbedding::TimeEmbedding(const TransformerConfig& config, WeightSource& weights,
                             const std::string& name)
    : freq_dim_(config.freq_dim),
      dim_(config.dim()),
      linear_1_(take_linear_f32(weights, name + "time_embedder.linear_1", dim_, freq_dim_)),
      linear_2_(take_linear_f32(weights, name + "time_embedder.linear_2", dim_, dim_)),
      projection_(take_linear(weights, name + "time_proj", 6 * dim_, dim_)) {}

TimeValues TimeEmbedding::embed(Ops& ops, const Timestep& timestep,
                                std::int64_t tokens_per_frame) const {
  const std::int64_t half = freq_dim_ / 2;
  const bool own = timestep.first_frame.has_value() && *timestep.first_frame != timestep.value;
  const std::int64_t rows = own ? 2 : 1;
  Tensor angles = Tensor::empty({rows, freq_dim_});  // [cos | sin], spec 4.2
  for (std::int64_t r = 0; r < rows; ++r) {
    const double t = own && r == 0 ? *timestep.first_frame : timestep.value;
    float* row = angles.data<float>() + r * freq_dim_;
    for (std::int64_t i = 0; i < half; ++i) {
      const double f =
          std::exp(-std::log(10000.0) * static_cast<double>(i) / static_cast<double>(half));
      row[i] = static_cast<float>(std::cos(t * f));
      row[half + i] = static_cast<float>(std::sin(t * f));
    }
  }
  auto make = [&](const Shape& shape) { return Tensor::empty(shape, DType::f32, ops.device()); };
  const Tensor input = angles.to(ops.device());
  Tensor hidden = make({rows, dim_});
  TimeValues time{make({rows, dim_}), make({6, rows, dim_}), rows, own ? tokens_per_frame : 0};
  ops.linear(input, linear_1_.weight, linear_1_.bias, hidden, Activation::silu);
  ops.linear(hidden, linear_2_.weight, linear_2_.bias, time.temb);
  ops.silu(time.temb, hidden);
  Tensor projected = make({rows, 6 * dim_});
  ops.linear(hidden, projection_.weight, projection_.bias, projected);
  const Tensor flat = projected.reshape({rows * 6, dim_});
  Tensor by_table = time.tproj.reshape({6 * rows, dim_});
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < 6; ++i) {
      copy(flat.slice(r * 6 + i, r * 6 + i + 1), by_table.slice(i * rows + r, i * rows + r + 1));
    }
  }
  return time;
}

}  // namespace weft
