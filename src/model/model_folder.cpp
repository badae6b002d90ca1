#include "weft/model/model_folder.h"

#include <algorithm>

#include "config_json.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr const char* diffusion_stem = "diffusion_pytorch_model";
constexpr const char* text_stem = "model";

std::string stem_of(const std::string& component) {
  return component == "text_encoder" ? text_stem : diffusion_stem;
}

bool listed(const nlohmann::json& index, const std::string& component) {
  return index.contains(component) && index[component].is_array() && index[component].size() == 2 &&
         index[component][1].is_string();
}

/// The size a published transformer was trained at, by its sizes (spec 1).
std::optional<std::array<std::int64_t, 3>> known_native_size(const ModelFolder& m) {
  const std::int64_t dim = m.transformer.dim();
  if (dim == 1536 && m.transformer.layers == 30) return {{832, 480, 81}};
  if (dim == 3072 && m.transformer.layers == 30) return {{1280, 704, 121}};
  if (dim == 5120 && m.transformer.layers == 40) return {{1280, 720, 81}};
  return {};
}

void read_native_size(ModelFolder& m, ConfigJson& index) {
  m.native_size = known_native_size(m);
  if (!index.has("weft_native_size")) return;
  const auto& size = index.json()["weft_native_size"];
  const bool three =
      size.is_array() && size.size() == 3 && std::ranges::all_of(size, [](const auto& n) {
        return n.is_number_integer() && n > 0 && n < 100000;
      });
  if (!three) {
    index.problems().add("{}: \"weft_native_size\" is {}, expected [width, height, frames]",
                         index.path().string(), size.dump());
    return;
  }
  m.native_size = {{size[0], size[1], size[2]}};
}

void read_scheduler(ModelFolder& m, const fs::path& file, Problems& problems) {
  ConfigJson json(file, problems);
  m.scheduler.flow_shift = json.number("flow_shift", json.number("shift", 1.0));
  m.scheduler.train_steps = json.integer("num_train_timesteps", 1000, 1, 1000000);
  if (m.scheduler.flow_shift <= 0) {
    problems.add("{}: flow_shift is {}, expected more than 0", file.string(),
                 m.scheduler.flow_shift);
    m.scheduler.flow_shift = 1;
  }
  const std::string prediction = json.text("prediction_type", "flow_prediction");
  if (prediction != "flow_prediction") {
    problems.add("{}: prediction_type is \"{}\", Wan models predict a flow (\"flow_prediction\")",
                 file.string(), prediction);
  }
}

void check_fit(const ModelFolder& m, Problems& problems) {
  auto expect = [&](std::int64_t a, std::int64_t b, const char* what_a, const char* what_b) {
    if (a != b) {
      problems.add("{}: {} is {}, but {} is {}: these components do not belong together",
                   m.path.string(), what_a, a, what_b, b);
    }
  };
  expect(m.transformer.text_dim, m.text.d_model, "transformer/config.json text_dim",
         "text_encoder/config.json d_model");
  expect(m.transformer.out_channels, m.vae.z_dim, "transformer/config.json out_channels",
         "vae/config.json z_dim");
  if (m.transformer.in_channels > m.transformer.out_channels) {
    problems.add(
        "{}: the transformer takes {} channels and gives {}: this is an image-to-video "
        "model of the 2.1/A14B kind, which weft does not render; use a text-to-video model, "
        "or the 2.2 5B with --image",
        m.path.string(), m.transformer.in_channels, m.transformer.out_channels);
  }
  if (m.two_experts) {
    expect(m.transformer_2.in_channels, m.transformer.in_channels,
           "transformer_2/config.json in_channels", "transformer/config.json in_channels");
    expect(m.transformer_2.text_dim, m.transformer.text_dim, "transformer_2/config.json text_dim",
           "transformer/config.json text_dim");
  }
}

/// Stamps of the weight files of one component; none when there is no such folder.
std::map<fs::path, FileStamp> stamps_of(const fs::path& component) {
  std::map<fs::path, FileStamp> stamps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(component, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".safetensors") && !name.ends_with(".index.json")) continue;
    // A link that leads nowhere, or a file that is being replaced: told when it is opened.
    if (entry.exists(error)) stamps.emplace(entry.path(), FileStamp::of(entry.path()));
  }
  return stamps;
}

std::vector<std::string> components_of(const ModelFolder& m) {
  std::vector<std::string> components{"text_encoder", "transformer", "vae"};
  if (m.two_experts) components.emplace_back("transformer_2");
  return components;
}

}  // namespace

ModelFolder ModelFolder::read(const fs::path& path, Problems& problems) {
  ModelFolder m;
  m.path = path;
  m.name = fs::weakly_canonical(path).filename().string();
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    problems.add(
        "--model {}: {}; expected the folder of a Wan model in the diffusers layout "
        "(model_index.json, transformer/, vae/, text_encoder/, tokenizer/, scheduler/)",
        path.string(), fs::exists(path, ignored) ? "not a folder" : "no such folder");
    return m;
  }
  if (!fs::exists(path / "model_index.json", ignored)) {
    problems.add(
        "--model {}: there is no model_index.json in it, so this is not a model folder in "
        "the diffusers layout{}",
        path.string(),
        fs::exists(path / "config.json", ignored)
            ? " (is it the folder of one component? name the folder above it)"
            : "");
    return m;
  }
  ConfigJson index(path / "model_index.json", problems);
  if (!index.usable()) return m;
  const std::string pipeline = index.text("_class_name", "");
  if (pipeline != "WanPipeline") {
    problems.add("{}: the pipeline is \"{}\", weft renders \"WanPipeline\" models",
                 index.path().string(), pipeline);
    return m;  // anything else found wrong would only be noise
  }
  m.expand_timesteps = index.boolean("expand_timesteps", false);
  m.two_experts = listed(index.json(), "transformer_2");
  for (const std::string& c : components_of(m)) m.stamps.merge(stamps_of(path / c));
  if (m.two_experts) {
    // A boundary without a second expert has no meaning (spec 1). Without a boundary the pipeline
    // never hands over to the second expert, and neither does a boundary of 0.
    const double boundary = index.number("boundary_ratio", 0);
    if (!(boundary >= 0 && boundary <= 1)) {
      problems.add("{}: boundary_ratio is {}, expected 0 to 1", index.path().string(), boundary);
    }
    m.boundary_ratio = boundary;
  }
  m.text = TextConfig::read(path / "text_encoder/config.json", problems);
  m.transformer = TransformerConfig::read(path / "transformer/config.json", problems);
  if (m.two_experts) {
    m.transformer_2 = TransformerConfig::read(path / "transformer_2/config.json", problems);
  }
  m.vae = VaeConfig::read(path / "vae/config.json", problems);
  read_scheduler(m, path / "scheduler/scheduler_config.json", problems);
  read_native_size(m, index);
  if (problems.empty()) check_fit(m, problems);
  return m;
}

void ModelFolder::check_unchanged(const std::string& component) const {
  constexpr const char* advice = "; start the job again when the model folder is at rest";
  const auto now = stamps_of(path / component);
  for (const auto& [file, stamp] : stamps) {
    if (file.parent_path() != path / component) continue;
    const auto found = now.find(file);
    if (found == now.end()) {
      fail("{}: it is gone; it was there when the job was checked{}", file.string(), advice);
    }
    if (found->second != stamp) {
      fail("{}: it has changed since the job was checked: it had {}, now it has {}{}",
           file.string(), stamp.str(), found->second.str(), advice);
    }
  }
  for (const auto& [file, stamp] : now) {
    if (!stamps.contains(file)) {
      fail("{}: it is new; it was not there when the job was checked{}", file.string(), advice);
    }
  }
}

std::shared_ptr<const TensorFiles> ModelFolder::files(const std::string& component) const {
  return std::make_shared<const TensorFiles>(path / component, stem_of(component));
}

namespace {

/// Runs a model's constructor over its files, in check or load mode.
template <class Make>
auto construct(const ModelFolder& m, const std::string& component, WeightSource::Mode mode,
               const Placement& placement, Problems& problems, Make&& make) {
  const auto files = m.files(component);
  WeightSource weights(*files, component, mode, placement);
  auto model = make(files, weights);
  weights.report(problems);
  return model;
}

template <class Make>
auto load(const ModelFolder& m, const std::string& component, const Placement& placement,
          Make&& make) {
  Problems problems;
  m.check_unchanged(component);
  auto model = construct(m, component, WeightSource::Mode::load, placement, problems, make);
  m.check_unchanged(component);  // nor while it was read
  problems.throw_if_any();
  return model;
}

auto make_text(const ModelFolder& m) {
  return [&m](const std::shared_ptr<const TensorFiles>& files, WeightSource& weights) {
    return TextEncoder(m.text, files, weights);
  };
}
auto make_transformer(const TransformerConfig& config) {
  return [&config](const std::shared_ptr<const TensorFiles>&, WeightSource& weights) {
    return WanTransformer(config, weights);
  };
}
auto make_decoder(const ModelFolder& m) {
  return [&m](const std::shared_ptr<const TensorFiles>&, WeightSource& weights) {
    weights.ignore_prefix("encoder.");
    weights.ignore_prefix("quant_conv.");
    return VaeDecoder(m.vae, weights);
  };
}
auto make_encoder(const ModelFolder& m) {
  return [&m](const std::shared_ptr<const TensorFiles>&, WeightSource& weights) {
    weights.ignore_prefix("decoder.");
    weights.ignore_prefix("post_quant_conv.");
    return VaeEncoder(m.vae, weights);
  };
}

}  // namespace

void ModelFolder::check_weights(Problems& problems) const {
  const auto mode = WeightSource::Mode::check;
  const Placement cpu;
  problems.collect(
      [&] { construct(*this, "text_encoder", mode, cpu, problems, make_text(*this)); });
  problems.collect(
      [&] { construct(*this, "transformer", mode, cpu, problems, make_transformer(transformer)); });
  if (two_experts) {
    problems.collect([&] {
      construct(*this, "transformer_2", mode, cpu, problems, make_transformer(transformer_2));
    });
  }
  problems.collect([&] { construct(*this, "vae", mode, cpu, problems, make_decoder(*this)); });
  problems.collect([&] { construct(*this, "vae", mode, cpu, problems, make_encoder(*this)); });
}

TextEncoder ModelFolder::load_text_encoder(const Placement& placement) const {
  return load(*this, "text_encoder", placement, make_text(*this));
}
WanTransformer ModelFolder::load_transformer(const std::string& component,
                                             const Placement& placement) const {
  const bool second = component == "transformer_2";
  return load(*this, component, placement, make_transformer(second ? transformer_2 : transformer));
}
VaeDecoder ModelFolder::load_decoder(const Placement& placement) const {
  return load(*this, "vae", placement, make_decoder(*this));
}
VaeEncoder ModelFolder::load_encoder(const Placement& placement) const {
  return load(*this, "vae", placement, make_encoder(*this));
}

}  // namespace weft
