// The two halves of an exported classifier as ONNX nodes. Shapes: B texts, L tokens.
#pragma once

#include <qing/nn/exports/export_source.h>
#include <qing/nn/exports/export_vocabulary.h>
#include <qing/nn/exports/onnx_builder.h>

namespace qing::nn {

/// What BERT's encoder reads of each text.
struct OnnxTokens {
  OnnxBuilder::Value ids;   ///< i64 [B, L]
  OnnxBuilder::Value kept;  ///< bool [B, L]: true for tokens of the text; the encoder reads as many as fit
};

/// Logits f32 [B, labels] of the encoder. `int8`: embeddings and the weights of linear layers are stored in 8 bits, and
/// products are of 8-bit integers, rounded by row and by column.
OnnxBuilder::Value onnx_encoder(OnnxBuilder& graph, const ExportSource& source, const OnnxTokens& tokens, bool int8);

/// Sentence embeddings f32 [B, width] of the encoder, with the pooling and the normalisation of source.sentence.
OnnxBuilder::Value onnx_embedding(OnnxBuilder& graph, const ExportSource& source, const OnnxTokens& tokens, bool int8);

/// The n-gram head as nodes. ids i64 [B, L] are of the export vocabulary; valid bool [B, L] is false where a token is
/// masked.
class OnnxNgrams {
 public:
  OnnxNgrams(OnnxBuilder& graph, const ExportSource& source, const ExportVocabulary& vocabulary,
             const OnnxBuilder::Value& ids, const OnnxBuilder::Value& valid);
  /// The tokens with [UNK] in place of each word that the encoder does not know.
  OnnxTokens encoder_tokens();
  /// f32 [B, labels].
  OnnxBuilder::Value logits();

 private:
  using Value = OnnxBuilder::Value;

  /// Runs of bytes to hash: each lane begins at `first` in `codes` and has three possible ends, `lasts`.
  struct Lanes {
    Value codes, first;
    std::vector<Value> lasts, possible;
    Value text;  ///< the text of each lane
  };
  Lanes pieces();
  Lanes words();
  struct Keys {
    Value buckets, rests;  ///< i64 [3 * lanes]; see KeyParts in onnx_ngrams.cpp
  };
  Keys keys(const Lanes& lanes, const Value& steps, const std::string& names);
  Value is_lead(const Value& byte);

  OnnxBuilder& graph_;
  const ExportSource& source_;
  Value ids_, valid_, texts_;        // [B, L], [B, L], []
  Value bytes_;                      // i64 [T, W] of all T tokens; zeros for masked ones
  Value begins_, ends_;              // bool [T]
  Value extra_, characters_, text_;  // i64 [T]
};

}  // namespace qing::nn
