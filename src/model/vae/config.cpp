#include <algorithm>
#include <cmath>

#include "weft/model/vae.h"

#include "config_json.h"

namespace weft {
namespace {

// Wan 2.1's latent statistics: diffusers' default when config.json has none (spec 6.4).
const std::vector<float> wan21_mean{-.7571F, -.7089F, -.9113F, .1075F,  -.1745F, .9653F,
                                    -.1517F, 1.5508F, .4134F,  -.0715F, .5517F,  -.3632F,
                                    -.1922F, -.9497F, .2503F,  -.2921F};
const std::vector<float> wan21_std{2.8184F, 1.4541F, 2.3275F, 2.6558F, 1.2196F, 1.7708F,
                                   2.6052F, 2.0743F, 3.2687F, 2.1526F, 2.8652F, 1.5579F,
                                   1.6382F, 1.1253F, 2.8251F, 1.9160F};

constexpr std::int64_t largest_size = 65536;  // no width or count of a model lies beyond

template <class... Args>
void wrong(ConfigJson& json, const char* key, fmt::format_string<Args...> format, Args&&... args) {
  json.problems().add("{}: \"{}\" {}", json.path().string(), key,
                      fmt::format(format, std::forward<Args>(args)...));
}

std::int64_t size(ConfigJson& json, const char* key, std::int64_t fallback) {
  return json.integer(key, fallback, 1, largest_size);
}

/// A list of which every element satisfies `accept`; `fallback` when the key is missing or null.
template <class T, class Accept>
std::vector<T> list(ConfigJson& json, const char* key, std::vector<T> fallback,
                    const char* expected, Accept accept) {
  if (!json.has(key)) return fallback;
  const auto& values = json.json().at(key);
  if (!values.is_array() || !std::all_of(values.begin(), values.end(), accept)) {
    wrong(json, key, "is {}, expected a list of {}", values.dump(), expected);
    return fallback;
  }
  return values.template get<std::vector<T>>();
}

std::vector<std::int64_t> sizes(ConfigJson& json, const char* key,
                                std::vector<std::int64_t> fallback) {
  return list(json, key, std::move(fallback), "whole numbers from 1 to 65536",
              [](const auto& v) { return v.is_number_integer() && v >= 1 && v <= largest_size; });
}

std::vector<bool> flags(ConfigJson& json, const char* key, std::vector<bool> fallback) {
  return list(json, key, std::move(fallback), "true and false",
              [](const auto& v) { return v.is_boolean(); });
}

std::vector<float> numbers(ConfigJson& json, const char* key, std::vector<float> fallback) {
  return list(json, key, std::move(fallback), "finite numbers", [](const auto& v) {
    return v.is_number() && std::isfinite(v.template get<float>());
  });
}

void check_levels(const VaeConfig& c, ConfigJson& json) {
  const auto levels = static_cast<std::int64_t>(c.dim_mult.size());
  if (levels < 1 || levels > 8) {
    wrong(json, "dim_mult", "has {} levels, expected 1 to 8", levels);
    return;
  }
  if (static_cast<std::int64_t>(c.temporal_downsample.size()) != levels - 1) {
    wrong(json, "temperal_downsample", "has {} entries, expected one less than dim_mult: {}",
          c.temporal_downsample.size(), levels - 1);
  }
  for (const std::int64_t base : {c.base_dim, c.decoder_base_dim}) {
    for (const std::int64_t mult : c.dim_mult) {
      if (base * mult > 65536)
        wrong(json, "dim_mult", "makes {} x {} channels, which is too many", base, mult);
      if (!c.is_residual && base * mult < 2) {
        wrong(json, "dim_mult", "makes a block of one channel, which an upsampler cannot halve");
      }
    }
  }
}

// The parameter-free skips spread or average whole groups of channels; other widths have none.
void check_skips(const VaeConfig& c, ConfigJson& json) {
  const std::size_t last = c.dim_mult.size() - 1;
  for (std::size_t i = 0; i <= last; ++i) {
    const std::int64_t in = c.base_dim * (i == 0 ? 1 : c.dim_mult[i - 1]);
    const std::int64_t out = c.base_dim * c.dim_mult[i];
    const std::int64_t ft = i < last && c.temporal_downsample[i] ? 2 : 1;
    if (i == last ? in != out : in * ft * 4 % out != 0) {
      wrong(json, "dim_mult",
            "gives encoder block {} {} channels in and {} out, for which there is no skip", i, in,
            out);
    }
    // Decoder block for the same level, visited in reverse; the last one visited has no skip.
    if (i == 0) continue;
    const std::int64_t from = c.dim_mult[std::min(i + 1, last)] * c.decoder_base_dim;
    const std::int64_t to = c.dim_mult[i] * c.decoder_base_dim;
    const std::int64_t growth = c.temporal_downsample[i - 1] ? 2 : 1;
    if (to * growth * 4 % from != 0) {
      wrong(json, "dim_mult",
            "gives decoder block {} {} channels in and {} out, for which there is no skip",
            last - i, from, to);
    }
  }
}

void check_latents(const VaeConfig& c, ConfigJson& json) {
  const auto want = static_cast<std::size_t>(c.z_dim);
  if (c.latents_mean.size() != want) {
    wrong(json, "latents_mean", "has {} numbers, expected z_dim = {}", c.latents_mean.size(), want);
  }
  if (c.latents_std.size() != want) {
    wrong(json, "latents_std", "has {} numbers, expected z_dim = {}", c.latents_std.size(), want);
  }
  if (std::any_of(c.latents_std.begin(), c.latents_std.end(), [](float s) { return s <= 0; })) {
    wrong(json, "latents_std", "holds a number that is not above 0");
  }
}

void check_factor(const char* key, std::int64_t implied, ConfigJson& json) {
  const std::int64_t stated = size(json, key, implied);
  if (stated != implied) {
    wrong(json, key, "is {}, but dim_mult, temperal_downsample and patch_size make it {}", stated,
          implied);
  }
}

}  // namespace

VaeConfig VaeConfig::read(const std::filesystem::path& config_json, Problems& problems) {
  VaeConfig c;
  ConfigJson json(config_json, problems);
  const std::size_t problems_before = problems.list().size();
  c.base_dim = size(json, "base_dim", c.base_dim);
  c.decoder_base_dim = size(json, "decoder_base_dim", c.base_dim);
  c.z_dim = size(json, "z_dim", c.z_dim);
  c.dim_mult = sizes(json, "dim_mult", c.dim_mult);
  c.num_res_blocks = size(json, "num_res_blocks", c.num_res_blocks);
  c.temporal_downsample = flags(json, "temperal_downsample", c.temporal_downsample);
  const bool wan21_latents = c.z_dim == static_cast<std::int64_t>(wan21_mean.size());
  c.latents_mean = numbers(json, "latents_mean", wan21_latents ? wan21_mean : std::vector<float>{});
  c.latents_std = numbers(json, "latents_std", wan21_latents ? wan21_std : std::vector<float>{});
  c.is_residual = json.boolean("is_residual", c.is_residual);
  c.in_channels = size(json, "in_channels", c.in_channels);
  c.out_channels = size(json, "out_channels", c.out_channels);
  c.patch = size(json, "patch_size", c.patch);
  if (json.has("attn_scales") && json.json().at("attn_scales") != nlohmann::json::array()) {
    wrong(json, "attn_scales", "is not empty: attention outside the middle block is not supported");
  }

  check_latents(c, json);
  for (const auto& [key, channels] :
       {std::pair{"in_channels", c.in_channels}, std::pair{"out_channels", c.out_channels}}) {
    if (channels != 3 * c.patch * c.patch) {
      wrong(json, key, "is {}, expected 3 colours x patch_size^2 = {}", channels,
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
