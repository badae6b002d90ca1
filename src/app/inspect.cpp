#include "inspect.h"

#include "weft/grid/cost.h"
#include "weft/io/hdf5_file.h"
#include "weft/model/model_folder.h"

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

void print_group(const Hdf5Reader& file, const std::string& group, std::string& out) {
  for (const std::string& name : file.attributes(group)) {
    const std::string where = group == "/" ? "/" + name : group + "/" + name;
    out += fmt::format("{:<32} {}\n", where, file.attribute_text(group, name));
  }
}

std::string inspect_record(const fs::path& path) {
  const Hdf5Reader file(path);
  if (!file.has("/stages/seconds") || !file.has("/ranks/host")) {
    fail_input("{}: an HDF5 file, but not a run record of weft (no /stages, no /ranks)",
               path.string());
  }
  std::string out;
  for (const char* group : {"/", "/config", "/config/resolved", "/model", "/result"}) {
    if (file.has(group)) print_group(file, group, out);
  }
  const auto names = file.strings("/stages/names");
  const auto seconds = file.numbers("/stages/seconds");  // [ranks, stages]
  const auto hosts = file.strings("/ranks/host");
  const auto wall = file.numbers("/ranks/wall_seconds");
  if (wall.size() != hosts.size() || seconds.size() != hosts.size() * names.size()) {
    fail_input("{}: {} hosts, {} stages, but {} stage times and {} wall times; it is damaged",
               path.string(), hosts.size(), names.size(), seconds.size(), wall.size());
  }
  out += fmt::format("\n{:>5} {:<16}", "rank", "host");
  for (const std::string& name : names) out += fmt::format(" {:>12}", name);
  out += fmt::format(" {:>10}\n", "wall s");
  for (std::size_t r = 0; r < hosts.size(); ++r) {
    out += fmt::format("{:>5} {:<16}", r, hosts[r]);
    for (std::size_t s = 0; s < names.size(); ++s) {
      out += fmt::format(" {:>12.3f}", seconds[r * names.size() + s]);
    }
    out += fmt::format(" {:>10.3f}\n", wall[r]);
  }
  return out;
}

}  // namespace

std::string inspect(const fs::path& path) {
  if (fs::is_directory(path)) return inspect_model(path);
  if (!fs::exists(path)) fail_input("{}: no such file or folder", path.string());
  return inspect_record(path);
}

}  // namespace weft
