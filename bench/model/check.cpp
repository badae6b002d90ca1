#include "check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/model/transformer.h"
#include "weft/model/vae.h"

#include "sizes.h"
#include "values.h"

namespace weft::bench {
namespace fs = std::filesystem;
namespace {

fs::path component_folder(const fs::path& folder, const std::string& component) {
  return fs::exists(folder / component / "config.json") ? folder / component : folder;
}

/// Tensor `name` of `rank` dimensions as float32 on the host.
Tensor read(const SafetensorsFile& file, const std::string& name, int rank) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) {
    fail_input("{}: there is no tensor \"{}\"", file.path().string(), name);
  }
  const StoredTensor& stored = found->second;
  if (stored.shape.rank() != rank) {
    fail_input("{}: \"{}\" is {}, expected {} dimensions", file.path().string(), name,
               stored.shape.str(), rank);
  }
  Tensor t = Tensor::empty(stored.shape);
  convert_to_f32(stored, t.data<float>());
  return t;
}

double relative_error(const Tensor& result, const Tensor& reference, const char* what) {
  if (result.shape() != reference.shape()) {
    fail_input("{} is {}, the reference {}", what, result.shape().str(), reference.shape().str());
  }
  const std::span<const float> a = result.span(), b = reference.span();
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += d * d;
    norm += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return std::sqrt(difference / norm);
}

Tensor velocity(Ops& ops, const fs::path& folder, const SafetensorsFile& file) {
  Problems problems;
  const TransformerConfig config = TransformerConfig::read(folder / "config.json", problems);
  problems.throw_if_any();
  const TensorFiles files(folder, "diffusion_pytorch_model");
  WeightSource weights(files, "transformer", WeightSource::Mode::load, ops);
  const WanTransformer wan(config, weights);
  weights.throw_if_wrong();

  const Tensor z = read(file, "latents", 4), embeds = read(file, "embeds", 2);
  const double timestep = read(file, "timestep", 1).span().front();
  const std::int64_t tokens = z.dim(1) * (z.dim(2) / 2) * (z.dim(3) / 2);
  const TextContext text =
      wan.prepare_text(ops, on_device(ops, embeds, ops.activation()), text_length);
  const RopeTable rope = wan.rope(z.dim(1), z.dim(2), z.dim(3), {0, tokens}, ops.device());
  LocalAttention attention;
  return on_host(wan.forward(ops, on_device(ops, z, DType::f32), Timestep{timestep, {}}, text, rope,
                             attention));
}

Tensor video(Ops& ops, const fs::path& folder, const SafetensorsFile& file) {
  Problems problems;
  const VaeConfig config = VaeConfig::read(folder / "config.json", problems);
  problems.throw_if_any();
  const TensorFiles files(folder, "diffusion_pytorch_model");
  WeightSource weights(files, "vae", WeightSource::Mode::load, ops);
  weights.ignore_prefix("encoder.");
  weights.ignore_prefix("quant_conv.");
  const VaeDecoder decoder(config, weights);
  weights.throw_if_wrong();

  Tensor clip = on_host(decode_clip(ops, decoder, on_device(ops, read(file, "z", 4), DType::f32)));
  for (float& v : clip.span()) v = std::clamp(v, -1.0F, 1.0F);  // as diffusers' decode() does
  return clip;
}

double allowed_error(Precision precision, double peer) {
  switch (precision) {
    case Precision::f32:
      return 1e-3;
    case Precision::bf16:
      return 1.05 * peer;
    case Precision::fp8:
      return std::numeric_limits<double>::max();  // a choice of speed: judged by looking
  }
  return 0;
}

}  // namespace

CheckResult check(Ops& ops, Precision precision, const fs::path& folder, const fs::path& path) {
  const SafetensorsFile file(path);
  const bool transformer = file.tensors().contains("latents");
  const std::string component = transformer ? "transformer" : "vae";
  const std::string result = transformer ? "velocity" : "video";
  const fs::path from = component_folder(folder, component);
  const Tensor reference = read(file, result + "_f32", 4);
  const Tensor ours = transformer ? velocity(ops, from, file) : video(ops, from, file);
  const double peer = relative_error(read(file, result + "_bf16", 4), reference, "diffusers' bf16");
  return {component, reference.shape().str(), relative_error(ours, reference, "the result"), peer,
          allowed_error(precision, peer)};
}

}  // namespace weft::bench
