// A translation model with its vocabulary: from texts to texts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/models/task_model.h>
#include <qing/nn/models/translation_decoder.h>
#include <qing/nn/models/translation_folder.h>
#include <qing/nn/text/language_tokens.h>

namespace qing::nn {

inline constexpr std::string_view kTranslation = "translation";

/// Byte ranges of a text.
using TextRanges = std::vector<std::pair<size_t, size_t>>;

/// How much the tokens of a translation looked at those of its source.
struct TextAlignment {
  TextRanges source, target;   ///< of tokens, in the source text and in the translation
  std::vector<float> weights;  ///< [target tokens, source tokens]; a row sums to at most 1
};

struct Translation {
  std::string text;
  double score = 0;      ///< the mean of its pieces' scores (DecodedSequence::score); 0 for a text without words
  int64_t tokens = 0;    ///< that were written
  bool complete = true;  ///< false: max_tokens cut a piece
  std::vector<TextAlignment> alignments;  ///< one for each piece of the source, if asked for
};

/// A text as the model takes it: pieces of at most so many tokens as it reads, with what stands between them.
struct TranslationPlan {
  struct Piece {
    size_t begin = 0, end = 0;  ///< bytes of the text
    std::vector<int32_t> ids;   ///< the source, with all special tokens
    TextRanges ranges;          ///< of the ids, in the text; empty ones for special tokens
    std::string before;         ///< white space that stands in front of the piece's translation
    bool same_line = false;     ///< continues the line of the piece before
    /// Writes the piece's translation behind those of the pieces before it, with what stands between.
    void append_to(std::string& text, std::string_view translation) const;
  };
  std::vector<Piece> pieces;
  std::string after;             ///< white space behind the last piece
  DecodingOptions options = {};  ///< of every piece
};

/// Immutable after load; may be called from many threads. A text's translation does not depend on others, on threads or
/// on the batch, to the bit.
class Translator final : public TaskModel {
 public:
  /// Reads a folder of save_translation_model(), or one in transformers' layout that load_pretrained_translation()
  /// reads, whose tokenizer is a tokenizer.json or SentencePiece's files. Linear layers compute in `precision`: f32,
  /// bf16 or i8. IoError; DataError naming the file; ValueError for another precision.
  static std::shared_ptr<const Translator> load(const std::filesystem::path& folder, DType precision = DType::f32);

  /// What the model was trained for; empty when its folder does not say it.
  const std::vector<TranslationDirection>& directions() const { return directions_; }
  /// The tokens of languages, of models in transformers' layout.
  const LanguageTokens& languages() const { return languages_; }
  /// The direction of a request that gives one or both languages, or neither ("" for what is not given). ValueError,
  /// naming the directions or the languages, when none fits or several do, and for a `from` when the folder says
  /// neither.
  TranslationDirection direction(std::string_view from, std::string_view to) const;
  /// The options of the model's folder, with `best` 1; of qing's own models beam_size 4.
  const DecodingOptions& options() const { return options_; }

  /// Cuts a text into pieces: its lines, and lines with more tokens than the model takes at the ends of sentences, else
  /// between words, else anywhere. DataError for invalid UTF-8.
  TranslationPlan plan(std::string_view text, const TranslationDirection& direction,
                       const DecodingOptions& options) const;
  /// The translation of a plan from its pieces' best sequences, in order.
  Translation join(const TranslationPlan& plan, std::span<const DecodedSequence> pieces) const;
  /// All texts. ValueError for options out of their range; DataError "text I: ..." for invalid UTF-8; ModelError for
  /// logits that are not finite. `name_of` gives another name of a text than "text I". At most `max_rows` hypotheses
  /// are computed at a time.
  std::vector<Translation> translate(std::span<const std::string> texts, const TranslationDirection& direction,
                                     const DecodingOptions& options, int64_t max_rows = 256,
                                     const std::function<std::string(size_t)>& name_of = {}) const;

  const TranslationModel& model() const { return *model_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }

  std::string_view task() const override { return kTranslation; }
  DType precision() const override { return precision_; }
  size_t weight_bytes() const override { return weight_bytes_; }
  std::vector<TensorDescription> inputs() const override;
  std::vector<TensorDescription> outputs() const override;
  bool can_replace(const TaskModel& other) const override;
  std::string answer_kind() const override;
  void try_out() const override;

  /// Use load().
  Translator(std::unique_ptr<TranslationModel> model, Tokenizer tokenizer, std::vector<TranslationDirection> directions,
             DecodingOptions options, DType precision, LanguageTokens languages = {});

 private:
  // The tokens that name languages in a source: `target` in front of the tokenizer's own, `source` in place of the
  // first or the last of them, or -1.
  struct Tags {
    std::vector<int32_t> target;
    int32_t source = -1;
  };
  Tags tags(const TranslationDirection& direction) const;
  int32_t language_id(std::string_view language) const;
  Encoding encode(std::string_view text, const Tags& tags) const;
  void add_line(std::string_view text, size_t begin, size_t end, const Tags& tags, int64_t room,
                TranslationPlan& plan) const;
  TextAlignment alignment(const TranslationPlan::Piece& piece, const DecodedSequence& sequence, size_t at,
                          std::string_view text) const;

  const std::unique_ptr<TranslationModel> model_;
  const Tokenizer tokenizer_;
  const std::vector<TranslationDirection> directions_;
  const DecodingOptions options_;
  const size_t weight_bytes_;
  const DType precision_;
  const LanguageTokens languages_;
};

}  // namespace qing::nn
