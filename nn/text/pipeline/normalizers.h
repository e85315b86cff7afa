// The first stage of a tokenizer: it changes the characters of a text before the text is split.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/text/pipeline/aligned_text.h>
#include <qing/nn/text/pipeline/charsmap.h>
#include <qing/nn/text/pipeline/text_pattern.h>
#include <qing/nn/text/pipeline/unicode_forms.h>

namespace qing::nn::text {

/// Memory that normalizers reuse for the next text.
struct NormalizerScratch {
  Chars text, other;
  std::vector<Change> changes;
  std::u32string values;
};

/// Immutable; thread-safe.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(Chars& text, NormalizerScratch& scratch) const = 0;
  /// Appends the normalised `piece`, valid UTF-8 that lies at byte `base` of the original.
  virtual void append(std::string_view piece, uint32_t base, AlignedText& to, NormalizerScratch& scratch) const;
};

struct BertNormalizerOptions {
  bool clean_text = true, handle_chinese_chars = true;
  std::optional<bool> strip_accents = {};  ///< default: the value of lowercase
  bool lowercase = true;
};

std::unique_ptr<Normalizer> bert_normalizer(const BertNormalizerOptions& options);
std::unique_ptr<Normalizer> normalizer_sequence(std::vector<std::unique_ptr<Normalizer>> stages);
std::unique_ptr<Normalizer> form_normalizer(Form form);
std::unique_ptr<Normalizer> lowercase_normalizer();
std::unique_ptr<Normalizer> strip_accents_normalizer();  ///< removes all marks
std::unique_ptr<Normalizer> strip_normalizer(bool left, bool right);
std::unique_ptr<Normalizer> replace_normalizer(TextPattern pattern, std::string_view content);
std::unique_ptr<Normalizer> prepend_normalizer(std::string_view prefix);
std::unique_ptr<Normalizer> nmt_normalizer();
std::unique_ptr<Normalizer> charsmap_normalizer(Charsmap map);
std::unique_ptr<Normalizer> byte_level_normalizer();

}  // namespace qing::nn::text
