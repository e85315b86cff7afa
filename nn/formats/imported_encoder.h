// Encoders of BERT's architecture from files that have their own names and layouts for them, in Hugging Face's form.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/module.h>

namespace qing::nn {

/// The tokenizer that a file brings along.
struct ImportedVocabulary {
  enum class Kind : uint8_t {
    none,       ///< the file has none
    wordpiece,  ///< pieces as in vocab.txt: "play", "##ing", "[CLS]"
    unigram,    ///< a SentencePiece model: "▁play", "ing", "<s>"
  };
  Kind kind = Kind::none;
  std::vector<std::string> pieces = {};        ///< in the order of their ids
  std::vector<float> scores = {};              ///< of a unigram model: log probabilities
  int64_t unk = 0, pad = 0, bos = 0, eos = 0;  ///< ids; bos and eos are WordPiece's [CLS] and [SEP]
  int64_t max_length = 0;                      ///< in tokens, with bos and eos
  /// The normalisation of a unigram model, as SentencePiece compiles it (precompiled_charsmap). May be empty.
  std::string charsmap = {};
};

struct ImportedEncoder {
  std::string config;  ///< config.json as transformers writes it
  /// In f32, with linear weights [out, in]. The names are those of transformers' BertModel, or with a classifier of
  /// BertForSequenceClassification. A tensor that the file stores in this form lies on the file's pages (MappedFile).
  StateDict tensors;
  ImportedVocabulary vocabulary;
};

/// Writes a directory that transformers loads, and creates it if it is absent. The files are config.json,
/// model.safetensors, tokenizer_config.json, and vocab.txt for WordPiece or tokenizer.json for a unigram model. They
/// replace older ones together (StagedDirectory). After an IoError the old files are still there.
void save_imported_encoder(const std::filesystem::path& directory, const ImportedEncoder& encoder);

/// Reads an ONNX, a GGUF or an E5S1 file. DataError "PATH: ..." names the position, the operation or the tensor when
/// the file is malformed or has more or less than such an encoder. IoError. Thread-safe.
ImportedEncoder import_encoder(const std::filesystem::path& path);

}  // namespace qing::nn
