#include "weft/model/loaded_models.h"

namespace weft {

const char* part_name(ModelPart part) {
  switch (part) {
    case ModelPart::text_encoder:
      return "text encoder";
    case ModelPart::transformer:
      return "transformer";
    case ModelPart::transformer_2:
      return "transformer_2";
    case ModelPart::decoder:
      return "decoder";
    case ModelPart::encoder:
      return "encoder";
  }
  return "?";
}

bool LoadedModels::differs(const ModelFolder& model) const {
  return model_ && (model_->path != model.path || model_->stamps != model.stamps);
}

void LoadedModels::use(const ModelFolder& model, Around around) {
  if (differs(model)) clear();
  model_ = model;
  around_ = std::move(around);
}

const TextEncoder& LoadedModels::text_encoder() {
  bring_in(ModelPart::text_encoder,
           [&] { text_encoder_.emplace(model_->load_text_encoder(placement_.alone())); });
  return *text_encoder_;
}

const WanTransformer& LoadedModels::transformer(ModelPart part) {
  WEFT_ASSERT(part == ModelPart::transformer || part == ModelPart::transformer_2, "a {}",
              part_name(part));
  auto& net = part == ModelPart::transformer ? transformer_ : transformer_2_;
  bring_in(part, [&] { net.emplace(model_->load_transformer(part_name(part), placement_)); });
  return *net;
}

const VaeDecoder& LoadedModels::decoder() {
  bring_in(ModelPart::decoder, [&] { decoder_.emplace(model_->load_decoder(placement_.alone())); });
  return *decoder_;
}

const VaeEncoder& LoadedModels::encoder() {
  bring_in(ModelPart::encoder, [&] { encoder_.emplace(model_->load_encoder(placement_.alone())); });
  return *encoder_;
}

void LoadedModels::bring_in(ModelPart part, const std::function<void()>& load) {
  WEFT_ASSERT(model_.has_value(), "the {} of no model", part_name(part));
  if (loaded(part)) return;
  if (keep_ == Keep::one) clear();
  const ScopedContext doing(fmt::format("loading the {}", part_name(part)));
  if (around_) {
    around_(part, load);
  } else {
    load();
  }
  WEFT_ASSERT(loaded(part), "the {} was not loaded", part_name(part));
}

bool LoadedModels::loaded(ModelPart part) const {
  switch (part) {
    case ModelPart::text_encoder:
      return text_encoder_.has_value();
    case ModelPart::transformer:
      return transformer_.has_value();
    case ModelPart::transformer_2:
      return transformer_2_.has_value();
    case ModelPart::decoder:
      return decoder_.has_value();
    case ModelPart::encoder:
      return encoder_.has_value();
  }
  return false;
}

void LoadedModels::release(ModelPart part) {
  switch (part) {
    case ModelPart::text_encoder:
      return text_encoder_.reset();
    case ModelPart::transformer:
      return transformer_.reset();
    case ModelPart::transformer_2:
      return transformer_2_.reset();
    case ModelPart::decoder:
      return decoder_.reset();
    case ModelPart::encoder:
      return encoder_.reset();
  }
}

void LoadedModels::end_of_stage() {
  if (keep_ == Keep::one) clear();
}

void LoadedModels::clear() {
  for (const ModelPart part : {ModelPart::text_encoder, ModelPart::transformer,
                               ModelPart::transformer_2, ModelPart::decoder, ModelPart::encoder}) {
    release(part);
  }
}

}  // namespace weft
