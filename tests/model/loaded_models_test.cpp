// Parts of a small model folder in memory, and folders that change under them.
#include "weft/model/loaded_models.h"

#include <fstream>

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

class LoadedModelsTest : public ::testing::Test {
 protected:
  LoadedModelsTest() {
    fs::copy(std::string(WEFT_TEST_DATA) + "/golden/tiny-wan22-a14b-sharded", path_,
             fs::copy_options::recursive);
  }
  [[nodiscard]] ModelFolder read() const {
    Problems problems;
    ModelFolder model = ModelFolder::read(path_, problems);
    problems.throw_if_any();
    return model;
  }
  [[nodiscard]] fs::path weights_of(const std::string& component) const {
    for (const auto& entry : fs::directory_iterator(path_ / component)) {
      if (entry.path().extension() == ".safetensors") return entry.path();
    }
    return {};
  }
  static void touch(const fs::path& file) {
    fs::last_write_time(file, fs::last_write_time(file) + std::chrono::milliseconds(7));
  }
  LoadedModels::Around notes() {
    return [this](ModelPart part, const std::function<void()>& load) {
      loadings_ += std::string(part_name(part)) + ";";
      load();
    };
  }
  /// What loading fails with, or "".
  template <class Load>
  static std::string failure_of(Load&& load) {
    try {
      static_cast<void>(load());
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  TempFolder folder_;
  fs::path path_ = folder_.path() / "model";
  Placement cpu_;
  std::string loadings_;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Would catch two parts in memory at a time, and parts loaded once more without need.
TEST_F(LoadedModelsTest, OnePartAtATime) {
  LoadedModels models(cpu_, Keep::one);
  models.use(read(), notes());
  models.text_encoder();
  models.text_encoder();
  EXPECT_TRUE(models.loaded(ModelPart::text_encoder));
  EXPECT_EQ(models.transformer(ModelPart::transformer).config().layers, read().transformer.layers);
  EXPECT_FALSE(models.loaded(ModelPart::text_encoder));
  models.transformer(ModelPart::transformer_2);
  EXPECT_FALSE(models.loaded(ModelPart::transformer));
  models.encoder();
  models.decoder();
  EXPECT_FALSE(models.loaded(ModelPart::encoder));
  models.end_of_stage();
  EXPECT_FALSE(models.loaded(ModelPart::decoder));
  EXPECT_EQ(loadings_, "text encoder;transformer;transformer_2;encoder;decoder;");
}

// Would catch parts that are dropped between jobs, and parts that outlive their files.
TEST_F(LoadedModelsTest, AllPartsStayUntilTheFilesChange) {
  LoadedModels models(cpu_, Keep::all);
  for (int job = 0; job < 2; ++job) {
    models.use(read(), notes());
    models.text_encoder();
    models.transformer(ModelPart::transformer);
    models.decoder();
    models.end_of_stage();
    EXPECT_EQ(loadings_, "text encoder;transformer;decoder;") << "job " << job;
  }
  models.release(ModelPart::decoder);
  EXPECT_FALSE(models.loaded(ModelPart::decoder));
  EXPECT_TRUE(models.loaded(ModelPart::transformer));

  touch(weights_of("vae"));
  EXPECT_TRUE(models.differs(read()));
  models.use(read(), notes());
  EXPECT_FALSE(models.loaded(ModelPart::transformer));
  loadings_.clear();
  models.decoder();
  EXPECT_EQ(loadings_, "decoder;");
}

// Between the check of a job and the loading. Would catch weights that nobody checked.
TEST_F(LoadedModelsTest, ChangedFilesAreNamed) {
  const ModelFolder checked = read();
  const fs::path vae = weights_of("vae");
  const fs::path transformer = weights_of("transformer");
  touch(vae);
  const std::string changed = failure_of([&] { return checked.load_decoder(cpu_); });
  EXPECT_TRUE(contains(changed, vae.string() + ": it has changed since the job was checked"))
      << changed;
  EXPECT_EQ(failure_of([&] { return checked.load_text_encoder(cpu_); }), "") << "another component";

  fs::resize_file(transformer, 100);
  const std::string cut = failure_of([&] { return checked.load_transformer("transformer", cpu_); });
  EXPECT_TRUE(contains(cut, transformer.string() + ": it has changed")) << cut;
  EXPECT_TRUE(contains(cut, "now it has 100 bytes")) << cut;
  fs::remove(transformer);
  const std::string gone =
      failure_of([&] { return checked.load_transformer("transformer", cpu_); });
  EXPECT_TRUE(contains(gone, transformer.string() + ": it is gone")) << gone;

  const fs::path added = path_ / "text_encoder" / "more.safetensors";
  std::ofstream(added) << "x";
  const std::string fresh = failure_of([&] { return checked.load_text_encoder(cpu_); });
  EXPECT_TRUE(contains(fresh, added.string() + ": it is new")) << fresh;
}

}  // namespace
}  // namespace weft
