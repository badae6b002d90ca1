// Models and images that jobs name, read once each.
#include "weft/run/network_file.h"

#include "job_checks.h"

namespace weft {

const KnownInputs::Model& KnownInputs::model(const std::filesystem::path& path) {
  const auto [at, is_new] = models_.try_emplace(path);
  Model& made = at->second;
  if (!is_new) return made;
  made.folder = ModelFolder::read(path, made.unreadable);
  if (!made.unreadable.empty()) return made;
  made.folder.check_weights(made.weights);
  made.of_tokenizer.collect(
      [&] { made.tokenizer = std::make_unique<Tokenizer>(made.folder.path / "tokenizer"); });
  return made;
}

const Image& KnownInputs::image(const std::filesystem::path& path) {
  if (path != image_path_ || image_.rgb.empty()) {
    image_ = read_image(path);
    image_path_ = path;
  }
  return image_;
}

const std::string& KnownInputs::network(const std::filesystem::path& path) {
  const auto at = networks_.find(path);
  if (at != networks_.end()) return at->second;
  return networks_.emplace(path, read_network_text(path)).first->second;
}

}  // namespace weft
