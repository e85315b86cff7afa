// Encoder-decoders in Hugging Face's layout: MarianMTModel, M2M100ForConditionalGeneration (also NLLB's),
// BartForConditionalGeneration, MBartForConditionalGeneration and T5ForConditionalGeneration.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <qing/nn/models/decoding_options.h>
#include <qing/nn/models/translation_model.h>

namespace qing::nn {

struct PretrainedTranslation {
  std::string model_type;  ///< "marian", "m2m_100", "bart", "mbart", "t5"
  std::unique_ptr<TranslationModel> model;
  DecodingOptions options;  ///< of generation_config.json or, without one, of config.json
};

/// Whether config.json has a model_type that load_pretrained_translation() reads. IoError, DataError.
bool is_pretrained_translation(const std::filesystem::path& folder);

/// Reads config.json, generation_config.json and the weights of such a folder, as `transformers` 5.23 computes them.
/// `dropout`, if given, replaces that of config.json. The model is in evaluation mode. IoError; DataError naming the
/// file and the field when a file is damaged, does not fit the others, or asks for what qing does not compute.
PretrainedTranslation load_pretrained_translation(const std::filesystem::path& folder,
                                                  std::optional<double> dropout = {});

/// The name in TranslationModel of a parameter in a file of one of these models. Empty for what no model needs: fixed
/// positions, and a second name of the shared table. A name that is none of theirs comes back as it is.
/// `tied`: the output layer is the table of embeddings.
std::string translation_parameter_name(std::string_view name, bool tied);

}  // namespace qing::nn
