#include <algorithm>

#include "weft/model/vae.h"

#include "json_config.h"

namespace weft {
namespace {

// Wan 2.1's latent statistics: diffusers' default when config.json has none (spec 6.4).
const std::vector<float> wan21_mean{-.7571F, -.7089F, -.9113F, .1075F,  -.1745F, .9653F,
                                    -.1517F, 1.5508F, .4134F,  -.0715F, .5517F,  -.3632F,
                                    -.1922F, -.9497F, .2503F,  -.2921F};
const std::vector<float> wan21_std{2.8184F, 1.4541F, 2.3275F, 2.6558F, 1.2196F, 1.7708F,
                                   2.6052F, 2.0743F, 3.2687F, 2.1526F, 2.8652F, 1.5579F,
                                   1.6382F, 1.1253F, 2.8251F, 1.9160F};

void check_levels(const VaeConfig& c, JsonConfig& json) {
  const auto levels = static_cast<std::int64_t>(c.dim_mult.size());
  if (levels < 1 || levels > 8) {
    json.wrong("dim_mult", "{} levels, want 1 to 8", levels);
    return;
  }
  if (static_cast<std::int64_t>(c.temporal_downsample.size()) != levels - 1) {
    json.wrong("temperal_downsample", "{} entries, want one less than dim_mult has: {}",
               c.temporal_downsample.size(), levels - 1);
  }
  for (const std::int64_t base : {c.base_dim, c.decoder_base_dim}) {
    for (const std::int64_t mult : c.dim_mult) {
      if (base * mult > 65536) json.wrong("dim_mult", "{} x {} channels are too many", base, mult);
      if (!c.is_residual && base * mult < 2) {
        json.wrong("dim_mult", "a block of one channel cannot be halved by an upsampler");
      }
    }
  }
}

// The parameter-free skips spread or average whole groups of channels; other widths have none.
void check_skips(const VaeConfig& c, JsonConfig& json) {
  const std::size_t last = c.dim_mult.size() - 1;
  for (std::size_t i = 0; i <= last; ++i) {
    const std::int64_t in = c.base_dim * (i == 0 ? 1 : c.dim_mult[i - 1]);
    const std::int64_t out = c.base_dim * c.dim_mult[i];
    const std::int64_t ft = i < last && c.temporal_downsample[i] ? 2 : 1;
    if (i == last ? in != out : in * ft * 4 % out != 0) {
      json.wrong("dim_mult", "encoder block {}: no parameter-free skip from {} to {} channels", i,
                 in, out);
    }
    // Decoder block for the same level, visited in reverse; the last one visited has no skip.
    if (i == 0) continue;
    const std::int64_t from = c.dim_mult[std::min(i + 1, last)] * c.decoder_base_dim;
    const std::int64_t to = c.dim_mult[i] * c.decoder_base_dim;
    const std::int64_t growth = c.temporal_downsample[i - 1] ? 2 : 1;
    if (to * growth * 4 % from != 0) {
      json.wrong("dim_mult", "decoder block {}: no parameter-free skip from {} to {} channels",
                 last - i, from, to);
    }
  }
}

void check_latents(const VaeConfig& c, JsonConfig& json) {
  const auto want = static_cast<std::size_t>(c.z_dim);
  if (c.latents_mean.size() != want) {
    json.wrong("latents_mean", "{} numbers, want z_dim = {}", c.latents_mean.size(), want);
  }
  if (c.latents_std.size() != want) {
    json.wrong("latents_std", "{} numbers, want z_dim = {}", c.latents_std.size(), want);
  }
  if (std::any_of(c.latents_std.begin(), c.latents_std.end(), [](float s) { return s <= 0; })) {
    json.wrong("latents_std", "want numbers above 0");
  }
}

void check_factor(const char* key, std::int64_t implied, JsonConfig& json) {
  const std::int64_t stated = json.size(key, implied);
  if (stated != implied) {
    json.wrong(key, "found {}, but the levels of the model make it {}", stated, implied);
  }
}

}  // namespace

VaeConfig VaeConfig::read(const std::filesystem::path& config_json, Problems& problems) {
  VaeConfig c;
  JsonConfig json(config_json, problems);
  const std::size_t problems_before = problems.list().size();
  c.base_dim = json.size("base_dim", c.base_dim);
  c.decoder_base_dim = json.size("decoder_base_dim", c.base_dim);
  c.z_dim = json.size("z_dim", c.z_dim);
  c.dim_mult = json.sizes("dim_mult", c.dim_mult);
  c.num_res_blocks = json.size("num_res_blocks", c.num_res_blocks);
  c.temporal_downsample = json.flags("temperal_downsample", c.temporal_downsample);
  const bool wan21_latents = c.z_dim == static_cast<std::int64_t>(wan21_mean.size());
  c.latents_mean = json.numbers("latents_mean", wan21_latents ? wan21_mean : std::vector<float>{});
  c.latents_std = json.numbers("latents_std", wan21_latents ? wan21_std : std::vector<float>{});
  c.is_residual = json.flag("is_residual", c.is_residual);
  c.in_channels = json.size("in_channels", c.in_channels);
  c.out_channels = json.size("out_channels", c.out_channels);
  c.patch = json.size("patch_size", c.patch);
  if (!json.empty_list("attn_scales")) {
    json.wrong("attn_scales", "attention outside the middle block is not supported; want []");
  }

  check_latents(c, json);
  for (const auto& [key, channels] :
       {std::pair{"in_channels", c.in_channels}, std::pair{"out_channels", c.out_channels}}) {
    if (channels != 3 * c.patch * c.patch) {
      json.wrong(key, "found {}, want 3 colours x patch_size^2 = {}", channels,
                 3 * c.patch * c.patch);
    }
  }
  check_levels(c, json);
  if (problems.list().size() > problems_before) return c;  // the rest reads the levels

  if (c.is_residual) check_skips(c, json);
  const auto halvings =
      std::count(c.temporal_downsample.begin(), c.temporal_downsample.end(), true);
  c.time_factor = std::int64_t{1} << halvings;
  c.space_factor = c.patch << (c.dim_mult.size() - 1);
  check_factor("scale_factor_temporal", c.time_factor, json);
  check_factor("scale_factor_spatial", c.space_factor, json);
  return c;
}

}  // namespace weft
