#include "weight_cause.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>

namespace weft {
namespace {

using Misfit = WeightSource::Misfit;

/// A tensor whose shape alone tells a published model.
struct Fingerprint {
  std::string_view tensor;
  std::int64_t out, in;  // its first two dimensions
  std::string_view model;
};

constexpr std::array fingerprints{
    Fingerprint{"patch_embedding.weight", 1536, 16, "the 1.3B text-to-video transformer"},
    Fingerprint{"patch_embedding.weight", 1536, 36, "the 1.3B image-to-video transformer"},
    Fingerprint{"patch_embedding.weight", 3072, 48, "the Wan 2.2 5B transformer"},
    Fingerprint{"patch_embedding.weight", 5120, 16, "the 14B text-to-video transformer"},
    Fingerprint{"patch_embedding.weight", 5120, 36, "the 14B image-to-video transformer"},
    Fingerprint{"shared.weight", 256384, 4096, "the UMT5-XXL text encoder"},
    Fingerprint{"encoder.embed_tokens.weight", 256384, 4096, "the UMT5-XXL text encoder"},
    Fingerprint{"decoder.conv_in.weight", 384, 16, "the Wan 2.1 autoencoder"},
    Fingerprint{"decoder.conv_in.weight", 1024, 48, "the Wan 2.2 (5B) autoencoder"},
};

std::string_view published_model(std::string_view tensor, const Shape& shape) {
  if (shape.rank() < 2) return {};
  for (const auto& f : fingerprints) {
    if (f.tensor == tensor && f.out == shape[0] && f.in == shape[1]) return f.model;
  }
  return {};
}

/// The number after "blocks." or "block.": "encoder.block.7.layer.0" is 7.
std::optional<std::int64_t> block_index(std::string_view name) {
  for (const std::string_view key : {"blocks.", "block."}) {
    const auto at = name.find(key);
    if (at == std::string_view::npos) continue;
    std::int64_t index = 0;
    const char* begin = name.data() + at + key.size();
    const auto [end, error] = std::from_chars(begin, name.data() + name.size(), index);
    if (error == std::errc() && end != name.data() + name.size() && *end == '.') return index;
  }
  return std::nullopt;
}

/// Block indices of all names, or nothing when some name belongs to no block.
template <class Names, class NameOf>
std::optional<std::set<std::int64_t>> blocks_of(const Names& names, NameOf name_of) {
  std::set<std::int64_t> blocks;
  for (const auto& n : names) {
    const auto index = block_index(name_of(n));
    if (!index) return std::nullopt;
    blocks.insert(*index);
  }
  return blocks;
}

std::set<std::int64_t> stored_blocks(const TensorFiles& files) {
  std::set<std::int64_t> blocks;
  for (const auto& name : files.names()) {
    if (const auto index = block_index(name)) blocks.insert(*index);
  }
  return blocks;
}

bool any_contains(const std::vector<std::string>& names, std::string_view part) {
  return std::any_of(names.begin(), names.end(),
                     [&](const auto& n) { return n.find(part) != std::string::npos; });
}

std::string foreign_layout(const std::vector<std::string>& extras) {
  for (const std::string_view part :
       {"self_attn.", "time_projection.", "text_embedding.", "middle.0.residual", ".residual.0.",
        ".attn.q.weight", "token_embedding.", "model.diffusion_model."}) {
    if (any_contains(extras, part)) {
      return fmt::format(
          "these are weights in the original Wan layout (names with \"{}\"); use the model's "
          "-Diffusers folder",
          part);
    }
  }
  return {};
}

std::string other_model(const std::vector<Misfit>& misfits) {
  for (const auto& m : misfits) {
    if (m.found == nullptr) continue;
    const auto found = published_model(m.name, m.found->shape);
    const auto want = published_model(m.name, m.want);
    if (found.empty() && want.empty()) continue;
    return fmt::format("the files hold {}, but config.json describes {}; were folders mixed?",
                       found.empty() ? "another model" : found,
                       want.empty() ? "another model" : want);
  }
  return {};
}

std::string other_width(const std::vector<Misfit>& misfits) {
  for (const auto& m : misfits) {
    if (m.found == nullptr || m.found->shape.rank() == 0 ||
        m.found->shape.rank() != m.want.rank() || m.found->shape[0] == m.want[0]) {
      continue;
    }
    return fmt::format(
        "a model of another width: {} has {} rows, config.json asks for {}; take config.json and "
        "the weights from the same folder",
        m.name, m.found->shape[0], m.want[0]);
  }
  return {};
}

}  // namespace

std::string likely_cause(const TensorFiles& files, const std::vector<Misfit>& misfits,
                         const std::vector<std::string>& extras, std::size_t fitting) {
  const auto is_missing = [](const Misfit& m) { return m.found == nullptr; };
  const bool only_missing = std::all_of(misfits.begin(), misfits.end(), is_missing);
  const bool none_missing = std::none_of(misfits.begin(), misfits.end(), is_missing);

  for (const auto& m : misfits) {
    if (m.found != nullptr && (m.found->dtype.starts_with("F8") || m.found->dtype == "I8")) {
      return fmt::format("quantised weights ({}); use the F32, F16 or BF16 files", m.found->dtype);
    }
  }
  if (auto layout = foreign_layout(extras); !layout.empty()) return layout;
  if (fitting == 0 && !extras.empty() && !none_missing) {
    return fmt::format("the folder holds another component (its names begin like \"{}\")",
                       extras.front());
  }
  if (auto model = other_model(misfits); !model.empty()) return model;

  const std::size_t stored = stored_blocks(files).size();
  if (only_missing && !misfits.empty() && extras.empty()) {
    const auto blocks = blocks_of(misfits, [](const Misfit& m) { return m.name; });
    if (blocks && stored > 0 && *blocks->begin() >= static_cast<std::int64_t>(stored)) {
      return fmt::format("config.json asks for {} blocks, the files hold {}", *blocks->rbegin() + 1,
                         stored);
    }
    if (std::all_of(misfits.begin(), misfits.end(),
                    [](const Misfit& m) { return m.name.ends_with(".bias"); })) {
      return "weights saved without their biases";
    }
    return "an incomplete download or a missing shard";
  }
  if (misfits.empty()) {
    if (any_contains(extras, "add_k_proj") || any_contains(extras, "image_embedder")) {
      return "the files are of an image-to-video model (CLIP image keys), config.json is not: "
             "added_kv_proj_dim and image_dim are null there";
    }
    const auto blocks = blocks_of(extras, [](const std::string& n) { return n; });
    if (blocks && stored > blocks->size() &&
        *blocks->begin() >= static_cast<std::int64_t>(stored - blocks->size())) {
      return fmt::format("config.json asks for {} blocks, the files hold {}",
                         stored - blocks->size(), stored);
    }
    return "the files hold a variant of the model with parts that config.json does not name";
  }
  return other_width(misfits);
}

}  // namespace weft
