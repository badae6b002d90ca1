#include "weft/model/transformer.h"

#include "../config_json.h"

namespace weft {

TransformerConfig TransformerConfig::read(const std::filesystem::path& config_json,
                                          Problems& problems) {
  ConfigJson json(config_json, problems);
  TransformerConfig c;
  c.heads = json.integer("num_attention_heads", c.heads, 1, 1024);
  c.head_dim = json.integer("attention_head_dim", c.head_dim, 8, 1024);
  c.in_channels = json.integer("in_channels", c.in_channels, 1, 4096);
  c.out_channels = json.integer("out_channels", c.out_channels, 1, 4096);
  c.text_dim = json.integer("text_dim", c.text_dim, 1, 1 << 16);
  c.freq_dim = json.integer("freq_dim", c.freq_dim, 2, 1 << 14);
  c.ffn_dim = json.integer("ffn_dim", c.ffn_dim, 1, 1 << 18);
  c.layers = json.integer("num_layers", c.layers, 1, 1000);
  c.eps = static_cast<float>(json.number("eps", c.eps));
  if (c.head_dim % 2 != 0) {
    problems.add("{}: attention_head_dim is {}, rotary embedding needs an even width",
                 config_json.string(), c.head_dim);
  }
  if (json.has("patch_size") && json.json()["patch_size"] != nlohmann::json({1, 2, 2})) {
    problems.add("{}: patch_size is {}, Wan 2.1 and 2.2 use [1, 2, 2]", config_json.string(),
                 json.json()["patch_size"].dump());
  }
  if (json.has("image_dim") || json.has("added_kv_proj_dim")) {
    problems.add(
        "{}: this is a Wan 2.1 image-to-video transformer (image_dim, added_kv_proj_dim); "
        "weft renders the text-to-video models and the 2.2 5B, which takes --image",
        config_json.string());
  }
  if (!json.boolean("cross_attn_norm", true)) {
    problems.add("{}: cross_attn_norm is false, every Wan 2.1 and 2.2 transformer has it",
                 config_json.string());
  }
  const std::string norm = json.text("qk_norm", "rms_norm_across_heads");
  if (norm != "rms_norm_across_heads") {
    problems.add("{}: qk_norm is \"{}\", expected \"rms_norm_across_heads\"", config_json.string(),
                 norm);
  }
  return c;
}

}  // namespace weft
