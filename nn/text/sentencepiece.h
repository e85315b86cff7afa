// The stages of a tokenizer as SentencePiece 0.2 computes them (https://github.com/google/sentencepiece): a whole text
// is one word, in which U+2581 stands for spaces. Ids equal those of SentencePieceProcessor.
#pragma once

#include <memory>
#include <optional>

#include <qing/nn/text/pipeline/decoders.h>
#include <qing/nn/text/pipeline/normalizers.h>
#include <qing/nn/text/pipeline/token_model.h>
#include <qing/nn/text/sentencepiece_file.h>

namespace qing::nn::text {

/// Character map, white space and user-defined pieces, which stay as they are. DataError for a damaged map.
std::unique_ptr<Normalizer> sentencepiece_normalizer(const SentencePieceFile& file);

/// The ids of another vocabulary, which programs such as Marian keep beside the pieces.
struct OtherVocabulary {
  Vocabulary vocabulary;
  int32_t unknown;  ///< the id of pieces that it lacks
};
/// Unigram or BPE. The ids are those of `other`, if given, by the pieces' texts; a run of unknown characters is one
/// piece.
std::unique_ptr<TokenModel> sentencepiece_model(const SentencePieceFile& file, std::optional<OtherVocabulary> other);

struct SentencePieceDecoding {
  bool marks_to_spaces = false;  ///< also those of texts that are no pieces of the file
  bool strip = false;            ///< white space on both sides goes
};
std::unique_ptr<Decoder> sentencepiece_decoder(const SentencePieceFile& file, const SentencePieceDecoding& options);

}  // namespace qing::nn::text
