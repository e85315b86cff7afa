// Pretrained encoders in Hugging Face's layout: a directory of config.json and weights that open_weights() reads.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <qing/nn/config_file.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/module.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

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
/// Makes the weights that read_pretrained_weights() gave a model's own, all of whose parameters must be among them. f32
/// weights stay on the pages of their file, which all processes and models share (MappedFile); others are converted.
void load_pretrained_weights(Module& model, PretrainedWeights weights);
/// pack_linear_layers() for a model that is used for inference alone: the file's pages of a weight that has been packed
/// do not stay in memory. They are read again where the weight itself is needed, as for gradients.
void pack_for_inference(Module& model, DType precision);

/// ...ForSequenceClassification.
std::unique_ptr<EncoderForSequenceClassification> load_sequence_classifier(const std::filesystem::path& directory);
/// ...ForTokenClassification.
std::unique_ptr<EncoderForTokenClassification> load_token_classifier(const std::filesystem::path& directory);
/// ...ForMaskedLM, and ...ForPreTraining with such a head. `dropout`, if given, replaces that of the configuration.
std::unique_ptr<EncoderForMaskedLM> load_masked_lm(const std::filesystem::path& directory,
                                                   std::optional<double> dropout = {});
/// Writes a directory that load_masked_lm() and `transformers` load as the family's ...ForMaskedLM. On failure
/// (IoError) what was there before is untouched.
void save_masked_lm(const std::filesystem::path& directory, EncoderForMaskedLM& model, const Tokenizer& tokenizer);
/// Pooling and normalisation as modules.json and 1_Pooling/config.json of sentence-transformers say; without
/// modules.json the mean, as that library has it.
std::unique_ptr<SentenceEncoder> load_sentence_encoder(const std::filesystem::path& directory);
/// The weights of the directory in an encoder of this configuration.
std::unique_ptr<SentenceEncoder> load_sentence_encoder(const std::filesystem::path& directory,
                                                       const EncoderConfig& config, const SentenceOptions& options);

}  // namespace qing::nn
