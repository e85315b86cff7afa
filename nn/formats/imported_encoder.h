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
  /// f32, under the names of transformers' BertModel, linear weights [out, in]; with a classifier those of
  /// BertForSequenceClassification. Those that lie in the file so are on its pages (MappedFile).
  StateDict tensors;
  ImportedVocabulary vocabulary;
};

/// Writes the directory that transformers loads, created if absent: config.json, model.safetensors and, of WordPiece,
/// vocab.txt, or, of a unigram model, tokenizer.json; and tokenizer_config.json beside either. The files change places
/// together (StagedDirectory). IoError leaves what was there.
void save_imported_encoder(const std::filesystem::path& directory, const ImportedEncoder& encoder);

/// Reads an ONNX, a GGUF or an E5S1 file. DataError "PATH: ...", with the place or the name: what is malformed, another
/// architecture, an operation or a tensor that no such encoder has. IoError. Thread-safe.
ImportedEncoder import_encoder(const std::filesystem::path& path);

}  // namespace qing::nn
