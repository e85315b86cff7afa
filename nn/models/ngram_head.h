// A linear model of a text's n-grams, whose logits are added to those of an encoder ("wide & deep", Cheng et al. 2016).
#pragma once

#include <filesystem>
#include <span>

#include <qing/nn/module.h>
#include <qing/nn/text/ngrams.h>

namespace qing::nn {

/// The file of the head in a model directory.
inline constexpr const char* kNgramsFile = "ngrams.safetensors";

/// Logits Σ value·weight[row] of a text's features. Immutable in evaluation; forward may be called from many threads.
class NgramHead : public Module {
 public:
  /// Weights [table.size(), labels] of zeros. ValueError for labels < 1.
  NgramHead(NgramTable table, int64_t labels);
  void visit(Visitor& visitor) override;

  /// Returns [texts, labels]. IndexError for a row outside the table. The logits of a text depend only on its features,
  /// to
  /// the bit.
  Tensor forward(std::span<const NgramFeatures* const> texts) const;
  Tensor operator()(std::span<const NgramFeatures* const> texts) const { return forward(texts); }
  const NgramTable& table() const { return table_; }
  const Tensor& weight() const { return weight_; }

  /// The tensors of the file: "keys" i32 [n], whose bits are ascending unsigned numbers, "idf" f16 [n] and "weight" f16
  /// [n, labels].
  StateDict stored_tensors() const;
  /// Writes a safetensors file with keys, idf and weights. It needs 8 + 2·labels bytes per n-gram for keys and f16
  /// values.
  /// IoError.
  void save(const std::filesystem::path& path);
  /// DataError with the path and the tensor, IoError. `options` are those of the tokenizer in the same folder.
  static NgramHead load(const std::filesystem::path& path, const TokenizerOptions& options, int64_t labels);

 private:
  NgramTable table_;
  Tensor weight_;
};

}  // namespace qing::nn
