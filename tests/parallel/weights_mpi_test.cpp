// Weights read or kept in parts on any number of ranks, against one rank's own: the same bits.
#include <cstring>
#include <fstream>

#include "weft/base/rng.h"
#include "weft/model/model_folder.h"
#include "weft/parallel/linked_weight_peers.h"

#include "support/mpi_main.h"
#include "support/temp_folder.h"

namespace weft {
namespace {

using test::TempFolder;
using Mode = WeightSource::Mode;

std::unique_ptr<LinkedWeightPeers> make_peers(Fabric& fabric, const Communicator& world) {
  return std::make_unique<LinkedWeightPeers>(fabric, world);
}

struct Case {
  const char* name;
  Shape shape;
};
// Above and below the limit for shared reading, of sizes that no number of ranks divides.
const std::vector<Case> cases{{"big", {1031, 523}}, {"flat", {1048583}}, {"small", {37, 11}}};

/// A file of `cases` with the same values everywhere, as F32 or BF16.
void write_cases(const std::filesystem::path& path, DType type) {
  std::string header;
  std::string data;
  for (const Case& c : cases) {
    const Tensor values = Tensor::empty(c.shape);
    philox_randn(7, static_cast<std::uint64_t>(c.shape.numel()), values.span());
    const Tensor stored = values.as(type);
    header += fmt::format(R"({}"{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})",
                          header.empty() ? "{" : ",", c.name, type == DType::f32 ? "F32" : "BF16",
                          c.shape.str(), data.size(), data.size() + stored.bytes());
    data.append(reinterpret_cast<const char*>(stored.raw()), stored.bytes());
  }
  header += "}";
  const std::uint64_t length = header.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << header << data;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.bytes() == b.bytes() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

// Would catch parts that overlap, leave gaps or are cut in bytes instead of elements.
TEST(Weights, ReadInPartsAreTheSameBits) {
  const Communicator world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  const auto peers = make_peers(fabric, world);
  Placement together;
  together.peers = peers.get();
  for (const DType type : {DType::f32, DType::bf16}) {
    const TempFolder folder;
    write_cases(folder.path() / "model.safetensors", type);
    const TensorFiles files(folder.path(), "model");
    WeightSource alone(files, "transformer", Mode::load);
    WeightSource shared(files, "transformer", Mode::load, together);
    for (const Case& c : cases) {
      EXPECT_TRUE(same_bits(alone.take(c.name, c.shape), shared.take(c.name, c.shape))) << c.name;
    }
    EXPECT_EQ(alone.bytes_loaded(), shared.bytes_loaded());
    const std::size_t small = files.find("small")->bytes;
    const auto read = static_cast<double>(shared.bytes_read() - small);
    EXPECT_EQ(world.sum(read), static_cast<double>(alone.bytes_read() - small));
    EXPECT_LE(read, static_cast<double>(alone.bytes_read()) / world.size() + 8);
  }
}

// Every rank's file holds its own number, which no real file does: it shows who read what. Would
// catch a rank that reads everything itself.
TEST(Weights, EachRankReadsItsPart) {
  const Communicator world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  const auto peers = make_peers(fabric, world);
  const TempFolder folder;
  const std::int64_t count = 300007;
  const Tensor mine = Tensor::empty({count});
  std::ranges::fill(mine.span(), static_cast<float>(world.rank()));
  write_safetensors(folder.path() / "model.safetensors",
                    {{"large", mine}, {"small", mine.slice(0, 100)}});
  const TensorFiles files(folder.path(), "model");
  Placement together;
  together.peers = peers.get();
  WeightSource source(files, "transformer", Mode::load, together);
  const Tensor large = source.take("large", {count});
  std::int64_t wrong = 0;
  for (int r = 0; r < world.size(); ++r) {
    for (std::int64_t i = count * r / world.size(); i < count * (r + 1) / world.size(); ++i) {
      wrong += large.data<float>()[i] == static_cast<float>(r) ? 0 : 1;
    }
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(source.take("small", {100}).data<float>()[99], static_cast<float>(world.rank()));
}

/// Velocities of some calls in a row: two prompts, then forwards with both.
std::vector<Tensor> velocities(const WanTransformer& net, Ops& ops) {
  const TransformerConfig& c = net.config();
  const auto random = [](const Shape& shape, std::uint64_t seed) {
    const Tensor t = Tensor::empty(shape);
    philox_randn(seed, 0, t.span());
    return t;
  };
  std::vector<TextContext> texts;
  for (const std::int64_t tokens : {3, 5}) {
    texts.push_back(
        net.prepare_text(ops, random({tokens, c.text_dim}, static_cast<std::uint64_t>(tokens)), 8));
  }
  const Tensor z = random({c.in_channels, 2, 4, 6}, 1);
  const RopeTable rope = net.rope(2, 4, 6, {0, 2 * 2 * 3}, DeviceKind::cpu);
  LocalAttention attention;
  std::vector<Tensor> found;
  for (int call = 0; call < 4; ++call) {
    const Timestep t{.value = 900.0 - 100 * call, .first_frame = {}};
    found.push_back(
        net.forward(ops, z, t, texts[static_cast<std::size_t>(call % 2)], rope, attention));
  }
  return found;
}

void expect_same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b,
                      const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(same_bits(a[i], b[i])) << what << ", forward " << i;
  }
}

// Would catch a block computed with weights that are not there yet, with another block's packed
// weights, or without the wrap-around from one forward to the next.
TEST(Weights, ASharedTransformerComputesTheSameBits) {
  const Communicator world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  const auto peers = make_peers(fabric, world);
  const auto ops = make_cpu_ops(1);
  for (const char* name : {"tiny-wan21", "tiny-wan22-5b", "tiny-wan22-a14b-sharded"}) {
    Problems problems;
    const ModelFolder model =
        ModelFolder::read(std::string(WEFT_TEST_DATA) + "/golden/" + name, problems);
    problems.throw_if_any();
    const auto whole = velocities(model.load_transformer("transformer", *ops), *ops);
    const WanTransformer shared =
        model.load_transformer("transformer", {*ops, peers.get(), /*sharded=*/true});
    expect_same_bits(whole, velocities(shared, *ops), name);
  }
}

// As above with enough blocks for shares to matter, odd in number, and a width that leaves gaps
// between weights. Would catch a rank that keeps more than its share and two slabs.
TEST(Weights, ASharedTransformerKeepsItsPartAndTwoBlocks) {
  const Communicator world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  const auto peers = make_peers(fabric, world);
  const auto ops = make_cpu_ops(1);
  TransformerConfig config;
  config.heads = 3, config.head_dim = 6, config.layers = 7;
  config.in_channels = config.out_channels = 4;
  config.text_dim = 10, config.freq_dim = 8, config.ffn_dim = 37;
  WeightSource alone = WeightSource::random("transformer", *ops);
  const WanTransformer whole(config, alone);
  WeightSource among = WeightSource::random("transformer", {*ops, peers.get(), true});
  const WanTransformer shared(config, among);
  expect_same_bits(velocities(whole, *ops), velocities(shared, *ops), "random weights");

  EXPECT_EQ(whole.matrix_bytes(), whole.peak_matrix_bytes());
  const std::size_t all = whole.matrix_bytes();
  const std::size_t ranks = static_cast<std::size_t>(world.size());
  const std::size_t uneven = 7 * 2 * 256;  // shares begin at multiples of 256 bytes
  const std::size_t slabs = ranks == 1 ? 0 : 2 * all / 7;
  EXPECT_LE(shared.peak_matrix_bytes(), all / ranks + slabs + uneven);
  // The slabs of the prompt's keys and values are given back when these are made.
  EXPECT_EQ(shared.matrix_bytes() < shared.peak_matrix_bytes(), ranks > 1);
}

}  // namespace
}  // namespace weft
