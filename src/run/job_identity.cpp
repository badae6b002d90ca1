// What a job's result depends on.
#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>

#include "weft/base/hash.h"
#include "weft/run/checkpoint.h"
#include "weft/run/describe_run.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

// Where files go, who computes and when to stop do not change a pixel of the latents.
constexpr std::array<std::string_view, 22> without_effect{
    "model",           "output",        "codec",         "crf",           "preset",
    "pix-fmt",         "metadata",      "contact-sheet", "record",        "threads",
    "parallel",        "shard-weights", "device",        "oversubscribe", "checkpoint-every",
    "time-limit",      "resume",        "fps",           "decode",        "price-per-gpu-hour",
    "quality-figures", "network"};

void add_ends(Fnv& hash, const fs::path& file) {
  constexpr std::uint64_t piece = 64 << 10;
  const std::uint64_t size = fs::file_size(file);
  hash.add(fmt::format("{} {}\n", file.filename().string(), size));
  std::ifstream in(file, std::ios::binary);
  std::string bytes(static_cast<std::size_t>(std::min(piece, size)), '\0');
  const auto length = static_cast<std::streamsize>(bytes.size());
  for (const std::uint64_t begin : {std::uint64_t{0}, size - bytes.size()}) {
    in.seekg(static_cast<std::streamoff>(begin));
    if (!in.read(bytes.data(), length)) fail("{}: cannot be read", file.string());
    hash.add(bytes);
  }
}

std::string hex(const Fnv& hash) { return fmt::format("{:016x}", hash.value()); }

struct WeightFile {
  std::string component;
  fs::path path;
};

std::vector<WeightFile> weight_files(const ModelFolder& model) {
  std::vector<WeightFile> made;
  for (const char* component : {"text_encoder", "transformer", "transformer_2", "vae"}) {
    if (!model.two_experts && std::string_view(component) == "transformer_2") continue;
    const auto files = model.files(component);
    for (const auto& part : files->files()) made.push_back({component, part->path()});
  }
  return made;
}

}  // namespace

std::string model_fingerprint(const ModelFolder& model) {
  Fnv hash;
  for (const WeightFile& file : weight_files(model)) add_ends(hash, file.path);
  return hex(hash);
}

std::vector<ModelFile> model_files(const ModelFolder& model) {
  std::vector<ModelFile> made;
  for (const WeightFile& file : weight_files(model)) {
    Fnv hash;
    add_ends(hash, file.path);
    made.push_back({file.component + "/" + file.path.filename().string(),
                    static_cast<std::int64_t>(fs::file_size(file.path)), hex(hash)});
  }
  return made;
}

JobIdentity job_identity(const Job& job, const PreparedJob& prepared) {
  const Clip& clip = prepared.clip;
  const Machine machine = machine_of(job);
  JobIdentity identity;
  for (const JobKey& key : job_keys()) {
    if (std::ranges::find(without_effect, key.name) != without_effect.end()) continue;
    identity.emplace_back(key.name, key.get(job));
  }
  const auto resolved = [&](const char* name, const std::string& value) {
    const auto at = std::ranges::find(identity, name, &JobIdentity::value_type::first);
    if (at != identity.end()) {
      at->second = value;
    } else {
      identity.emplace_back(name, value);
    }
  };
  resolved("width", std::to_string(clip.width));
  resolved("height", std::to_string(clip.height));
  resolved("frames", std::to_string(clip.frames));
  resolved("steps", std::to_string(clip.steps));
  resolved("guidance-scale", fmt::format("{}", clip.guidance_scale));
  resolved("guidance-scale-2", fmt::format("{}", clip.guidance_scale_2));
  resolved("flow-shift", fmt::format("{}", clip.flow_shift));
  resolved("boundary-ratio", fmt::format("{}", clip.boundary));
  resolved("device", device_name(machine.device));
  resolved("precision", machine.precision == Precision::f32    ? "f32"
                        : machine.precision == Precision::bf16 ? "bf16"
                                                               : "fp8");
  resolved("model", model_fingerprint(prepared.model));
  resolved("version", WEFT_VERSION);
  return identity;
}

}  // namespace weft
