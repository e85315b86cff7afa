// Copies a model of Hugging Face's layout into a directory of qing's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <qing/nn/models/encoder_heads.h>

namespace qing::nn {

struct ImportedModel {
  std::string task;        ///< sequence classification, token classification, masked language model, sentence
                           ///< embedding, translation
  std::string model_type;  ///< as config.json says
  int64_t parameters = 0;
  std::vector<std::string> taken = {};  ///< of a file: the names of the files beside it that were used
  bool has_tokenizer = true;            ///< without one the model cannot read texts
};

struct ImportOptions {
  /// For sentence embeddings from a source that does not say it.
  std::optional<SentencePooling> pooling = std::nullopt;
};

/// Reads a directory of Hugging Face's layout as its config.json's architectures say. A directory with modules.json, or
/// of an encoder without a head, gives sentence embeddings. Or reads a file that import_encoder() reads: ONNX, GGUF or
/// E5S1; from the folder around such a file come the tokenizer's files, which replace the file's own, the pooling of
/// modules.json, and the labels of a config.json that describes the same encoder. Writes to `out`, created if absent:
/// config.json and the tokenizer's files as they are, for sentence embeddings modules.json and the pooling's
/// configuration, and one model.safetensors of the tensors that the model needs, under today's names and with the
/// dtypes they have. transformers loads the result as it loads the source. On failure what stood in `out` is untouched.
/// DataError naming the file when it is damaged or asks for what qing does not compute; IoError; ValueError when `out`
/// is `source`, and for a pooling where the source says one or the model has a head.
ImportedModel import_model(const std::filesystem::path& source, const std::filesystem::path& out,
                           const ImportOptions& options = {});

}  // namespace qing::nn
