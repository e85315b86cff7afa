// SentencePiece's model files: source.spm, sentencepiece.bpe.model, spiece.model. The format is the message ModelProto
// of https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace qing::nn::text {

enum class PieceType : uint8_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct SentencePiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

/// The message NormalizerSpec, with its defaults.
struct SentencePieceRules {
  std::string charsmap;  ///< precompiled_charsmap, in bytes; empty: characters stay as they are
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

struct SentencePieceFile {
  std::vector<SentencePiece> pieces;  ///< the index is the id
  int32_t unknown = -1;               ///< the only piece of type kUnknown
  bool bpe = false;                   ///< else unigram
  bool byte_fallback = false;         ///< unknown characters become the pieces of their bytes
  std::string unknown_surface;        ///< what the unknown piece is decoded to
  SentencePieceRules normalizer;
  SentencePieceRules denormalizer;  ///< applies only if it has a charsmap
};

/// Reads the bytes of a model file, named `path` in errors. What SentencePiece 0.2 refuses is a DataError with the
/// place: bytes that are cut or no such message, a piece that is empty, twice there or of 8000 bytes, no unknown piece
/// or two, byte pieces without byte_fallback. So are pieces that are no UTF-8, scores that are not finite, and models
/// of words or characters.
SentencePieceFile read_sentencepiece(const std::filesystem::path& path, std::string_view bytes);

}  // namespace qing::nn::text
