// The texts of a training as a classifier takes them, batch by batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/ragged_batch.h>
#include <qing/nn/text/ngrams.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/optim/classifier/train_options.h>

namespace qing::optim {

struct ClassifierBatch {
  nn::RaggedBatch tokens;
  std::vector<nn::NgramFeatures> ngrams;  ///< one a text, or none at all without a table
  Tensor targets;                         ///< labels, i32 [texts], or their shares, f32 [texts, labels]
  Tensor adjustments;                     ///< f32 [texts, labels], to be added to the logits; undefined if nothing is
};

/// Encodes all examples once; batches are drawn from them. The examples must outlive it.
class ClassifierData {
 public:
  /// `ngrams` may be null. DataError on invalid UTF-8; errors of teachers as train_classifier().
  ClassifierData(std::span<const nn::Example> examples, const TrainOptions& options, const nn::Tokenizer& tokenizer,
                 const nn::NgramTable* ngrams);

  /// How many examples an epoch has.
  size_t epoch_size() const { return main_.size() + extra_taken_; }
  /// The examples of an epoch in random order: all but those of extra groups, and a share of these.
  std::vector<size_t> epoch_order(Generator& rng) const;
  /// The examples `rows`, with what the options drop at random dropped.
  ClassifierBatch batch(std::span<const size_t> rows, Generator& rng) const;

 private:
  void drop_words(std::vector<std::vector<int32_t>>& sequences, Generator& rng) const;
  void drop_ngrams(std::vector<nn::NgramFeatures>& texts, Generator& rng) const;
  void ask_teachers();
  Tensor adjustments(std::span<const size_t> rows) const;
  Tensor labels(std::span<const size_t> rows) const;
  Tensor shares(std::span<const size_t> rows) const;

  std::span<const nn::Example> examples_;
  const TrainOptions& options_;
  int32_t mask_id_;
  bool has_ngrams_;
  std::vector<nn::EncodedText> encoded_;
  std::vector<std::vector<float>> adjustments_;  // by group, then by label
  bool adjusts_;                                 // whether any is needed
  std::vector<float> taught_;                    // by example, then by label; empty without teachers
  std::vector<size_t> main_, extra_;             // examples
  size_t extra_taken_ = 0;                       // of the latter in each epoch
};

}  // namespace qing::optim
