// Named-entity recognition: an encoder with a label for each word, and the entities that the labels mark.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/models/tag_scheme.h>
#include <qing/nn/models/task_model.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/dtype.h>

namespace qing::nn {

inline constexpr std::string_view kTagging = "tagging";

/// An entity in a text.
struct Entity {
  std::string type;          ///< "PER"
  std::uint32_t begin, end;  ///< bytes of the text
  float score;               ///< the mean probability of the labels of its words, in (0, 1]
};

struct TaggedText {
  std::vector<Entity> entities;  ///< in the order of the text; they do not overlap
  std::int32_t tokens = 0;       ///< with the special ones
};

/// Immutable after load; may be called from many threads. The results of a text do not depend on the rest of the batch,
/// to the bit.
class Tagger final : public TaskModel {
 public:
  /// Reads a ...ForTokenClassification of any EncoderFamily, as `transformers` saves it: config.json, weights and the
  /// tokenizer's files. Its labels are tags as TagScheme has them. Linear layers compute in `precision`: f32, bf16 or
  /// i8. IoError; DataError naming the file; ValueError for another precision.
  static std::shared_ptr<const Tagger> load(const std::filesystem::path& directory, DType precision = DType::f32);

  /// The entities of each text. A text of more tokens than the model takes is computed in several windows. DataError
  /// "text I: ..." for invalid UTF-8; ModelError for a probability that is not finite.
  std::vector<TaggedText> tag(std::span<const std::string> texts) const;
  /// The tag of each word of sentences that are cut into words: B- and I-, and with labels E- or S- these too.
  /// DataError as tag().
  std::vector<std::vector<std::string>> tag_words(std::span<const std::vector<std::string>> sentences) const;

  std::string_view task() const override { return kTagging; }
  const std::vector<std::string>& labels() const override { return scheme_.labels(); }
  const TagScheme& scheme() const { return scheme_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  std::int32_t max_length() const { return tokenizer_.options().max_length; }  ///< tokens of a window
  DType precision() const override { return precision_; }
  size_t weight_bytes() const override { return weight_bytes_; }
  std::vector<TensorDescription> inputs() const override;
  std::vector<TensorDescription> outputs() const override;
  void try_out() const override;

  /// Use load().
  Tagger(std::unique_ptr<const EncoderForTokenClassification> model, TagScheme scheme, Tokenizer tokenizer,
         size_t weight_bytes, DType precision);

 private:
  const std::unique_ptr<const EncoderForTokenClassification> model_;
  const TagScheme scheme_;
  const Tokenizer tokenizer_;
  const size_t weight_bytes_;
  const DType precision_;
};

/// The words as one text, with the byte where each begins.
std::string join_words(std::span<const std::string> words, std::vector<std::uint32_t>& begins);

/// Writes a folder that Tagger::load() and `transformers` (AutoModelForTokenClassification, AutoTokenizer) load. On
/// failure (IoError) what was there before is untouched.
void save_tagger(const std::filesystem::path& directory, EncoderForTokenClassification& model,
                 const Tokenizer& tokenizer);

}  // namespace qing::nn
