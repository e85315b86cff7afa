// Pretrained encoders in Hugging Face's layout: a directory of config.json and weights that open_weights() reads.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// The file with the settings in a model's directory.
inline constexpr const char* kConfigFile = "config.json";

// All functions here throw IoError when a file cannot be read, and DataError naming the file when it is damaged, asks
// for what qing does not compute, or does not fit the others. Names of parameters are those of any family and of older
// versions; tensors of other heads are skipped, tensors of the encoder that the configuration does not describe are
// refused. f16 and bf16 become f32.

struct PretrainedWeights {
  std::string path;   ///< of the file, or of the index of shards
  StateDict tensors;  ///< under the names of qing's models (parameter_names.h), as they are stored
};
/// The weights of a directory. DataError also when the configuration, with a head of `outputs` rows, describes far more
/// parameters than the files hold.
PretrainedWeights read_pretrained_weights(const std::filesystem::path& directory, const EncoderConfig& config,
                                          int64_t outputs);
/// Copies the weights that read_pretrained_weights() gave into a model, all of whose parameters must be among them.
void load_pretrained_weights(Module& model, PretrainedWeights weights);

/// ...ForSequenceClassification.
std::unique_ptr<EncoderForSequenceClassification> load_sequence_classifier(const std::filesystem::path& directory);
/// ...ForTokenClassification.
std::unique_ptr<EncoderForTokenClassification> load_token_classifier(const std::filesystem::path& directory);
/// ...ForMaskedLM, and ...ForPreTraining with such a head.
std::unique_ptr<EncoderForMaskedLM> load_masked_lm(const std::filesystem::path& directory);
/// Pooling and normalisation as modules.json and 1_Pooling/config.json of sentence-transformers say; without
/// modules.json the mean, as that library has it.
std::unique_ptr<SentenceEncoder> load_sentence_encoder(const std::filesystem::path& directory);

}  // namespace qing::nn
