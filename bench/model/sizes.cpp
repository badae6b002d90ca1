#include "sizes.h"

#include <map>

namespace weft::bench {
namespace {

TransformerConfig transformer(std::int64_t heads, std::int64_t ffn_dim, std::int64_t layers,
                              std::int64_t channels) {
  TransformerConfig c;
  c.heads = heads;
  c.ffn_dim = ffn_dim;
  c.layers = layers;
  c.in_channels = c.out_channels = channels;
  return c;
}

/// Speed does not depend on the latents' statistics: they are taken as they come.
VaeConfig with_plain_latents(VaeConfig c) {
  c.latents_mean.assign(static_cast<std::size_t>(c.z_dim), 0);
  c.latents_std.assign(static_cast<std::size_t>(c.z_dim), 1);
  return c;
}

VaeConfig vae21() { return with_plain_latents({}); }

VaeConfig vae22() {
  VaeConfig c;
  c.base_dim = 160;
  c.decoder_base_dim = 256;
  c.z_dim = 48;
  c.is_residual = true;
  c.in_channels = c.out_channels = 12;
  c.patch = 2;
  c.space_factor = 16;
  return with_plain_latents(c);
}

/// The model that comes with weft (models/weft-mini): seconds on a processor.
ModelSizes mini() {
  TransformerConfig wan = transformer(4, 512, 8, 16);
  wan.head_dim = 64;
  wan.text_dim = 192;
  TextConfig text;
  text.d_model = 192;
  text.d_ff = 384;
  text.num_layers = 2;
  text.num_heads = 3;
  VaeConfig vae = vae21();
  vae.base_dim = vae.decoder_base_dim = 16;
  return {"weft-mini", wan, text, vae, {128, 128, 17}};
}

const std::map<std::string, ModelSizes>& known() {
  static const std::map<std::string, ModelSizes> models = [] {
    std::map<std::string, ModelSizes> m;
    for (const ModelSizes& sizes :
         {ModelSizes{"wan2.1-1.3b", transformer(12, 8960, 30, 16), {}, vae21(), {832, 480, 81}},
          ModelSizes{"wan2.1-14b", transformer(40, 13824, 40, 16), {}, vae21(), {1280, 720, 81}},
          ModelSizes{"wan2.2-5b", transformer(24, 14336, 30, 48), {}, vae22(), {1280, 704, 121}},
          mini()}) {
      m.emplace(sizes.name, sizes);
    }
    return m;
  }();
  return models;
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const auto& [name, sizes] : known()) names.push_back(name);
  return names;
}

ModelSizes model_sizes(const std::string& name) { return known().at(name); }

Shape latent_shape(const ModelSizes& model, const ClipSize& clip) {
  const std::int64_t patch = 2 * model.vae.space_factor;  // pixels per patch of the transformer
  const std::int64_t group = model.vae.time_factor;
  if (clip.width < patch || clip.height < patch || clip.width % patch != 0 ||
      clip.height % patch != 0 || clip.frames < 1 || clip.frames % group != 1) {
    fail_input(
        "{} does not make clips of {} x {}, {} frames: width and height are multiples of {}, "
        "frames "
        "one more than a multiple of {}",
        model.name, clip.width, clip.height, clip.frames, patch, group);
  }
  return {model.vae.z_dim, 1 + (clip.frames - 1) / group, clip.height / model.vae.space_factor,
          clip.width / model.vae.space_factor};
}

}  // namespace weft::bench
