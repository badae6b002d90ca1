#include "inspect.h"

#include "weft/grid/cost.h"
#include "weft/model/model_folder.h"

#include "inspect_record.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

std::string component_line(const ModelFolder& model, const std::string& name,
                           const std::string& text) {
  const auto files = model.files(name);
  return fmt::format("{:<14} {}; {} tensors in {} file{}, {:.2f} MB\n", name, text,
                     files->names().size(), files->files().size(),
                     files->files().size() == 1 ? "" : "s",
                     static_cast<double>(files->total_bytes()) / 1e6);
}

std::string transformer_text(const TransformerConfig& c) {
  return fmt::format("{} layers, width {} ({} heads x {}), feed-forward {}, {} -> {} channels",
                     c.layers, c.dim(), c.heads, c.head_dim, c.ffn_dim, c.in_channels,
                     c.out_channels);
}

std::string inspect_model(const fs::path& path) {
  Problems problems;
  const ModelFolder m = ModelFolder::read(path, problems);
  if (problems.empty()) m.check_weights(problems);
  problems.throw_if_any();
  std::string out = fmt::format("model          {}\n", m.name);
  if (m.native_size) {
    const auto& n = *m.native_size;
    out += fmt::format("native size    {} x {}, {} frames\n", n[0], n[1], n[2]);
  }
  out += fmt::format("flow shift     {:g}\n", m.scheduler.flow_shift);
  if (m.two_experts) out += fmt::format("boundary       {:g}\n", m.boundary_ratio.value_or(0));
  out += fmt::format("first frame    {}\n",
                     m.expand_timesteps ? "may be given (--image)" : "from noise");
  out += component_line(m, "text_encoder",
                        fmt::format("UMT5, {} layers, width {}, vocabulary {}", m.text.num_layers,
                                    m.text.d_model, m.text.vocab_size));
  out += component_line(m, "transformer", transformer_text(m.transformer));
  if (m.two_experts) out += component_line(m, "transformer_2", transformer_text(m.transformer_2));
  out += component_line(m, "vae",
                        fmt::format("{} latent channels, 1/{} in space, 1/{} in time{}",
                                    m.vae.z_dim, m.vae.space_factor, m.vae.time_factor,
                                    m.vae.is_residual ? ", residual blocks" : ""));
  return out;
}

}  // namespace

std::string inspect(const fs::path& path) {
  if (fs::is_directory(path)) return inspect_model(path);
  if (!fs::exists(path)) fail_input("{}: no such file or folder", path.string());
  return describe_record(read_run_record(path));
}

}  // namespace weft
