// The data of classifier training: the data set, the sampler and the collate function for nn::DataLoader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/data/sampler.h>
#include <qing/nn/ragged_batch.h>
#include <qing/nn/text/ngrams.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/optim/classifier/train_options.h>

namespace qing::optim {

/// An encoded text, its label and the teachers' prediction.
struct ClassifierExample {
  std::vector<int32_t> ids;
  nn::NgramFeatures ngrams;  ///< empty without a table
  int32_t label = 0;         ///< nn::kNoLabel in groups without labels
  int32_t group = 0;
  std::vector<int32_t> labels = {};  ///< in multi-label training
  float value = 0;                   ///< in regression
  std::vector<float> taught = {};    ///< mean of the teachers' scores, by label; empty for a text without a teacher
};

/// Encodes all examples. `ngrams` may be null. `taught` is what ask_teachers() says of them. DataError on invalid
/// UTF-8.
std::vector<ClassifierExample> encode_examples(std::span<const nn::Example> examples, const nn::Tokenizer& tokenizer,
                                               const nn::NgramTable* ngrams,
                                               std::vector<std::vector<float>> taught = {});

/// The examples of an epoch in random order: all examples of the main groups and a share each of the extra ones and of
/// those without labels.
class ClassifierSampler : public nn::Sampler {
 public:
  ClassifierSampler(std::span<const ClassifierExample> examples, const TrainOptions& options);
  std::vector<size_t> indices(uint64_t epoch) const override;
  size_t size() const override { return main_.size() + extra_.taken + unlabelled_.taken; }
  size_t dataset_size() const override { return main_.size() + extra_.rows.size() + unlabelled_.rows.size(); }
  std::string description() const override;

 private:
  struct Part {
    std::vector<size_t> rows;
    size_t taken = 0;  // in an epoch
  };
  std::vector<size_t> main_;
  Part extra_, unlabelled_;
  uint64_t seed_;
};

struct ClassifierBatch {
  nn::RaggedBatch tokens;
  std::vector<nn::NgramFeatures> ngrams;  ///< one per text
  /// Labels, i32 [texts], or their shares, f32 [texts, labels]; in multi-label training the shares do not sum to 1, and
  /// in regression there is one number a text.
  Tensor targets;
  Tensor softened;     ///< the teachers' part, f32 [texts, labels], at a temperature other than 1
  Tensor adjustments;  ///< f32 [texts, labels], added to the logits; undefined without adjustments

  /// Texts first to last − 1. The tensors share this batch's memory.
  ClassifierBatch part(int64_t first, int64_t last) const;
};

/// How many texts of each group have each label, by group and then by label. Texts without a label do not count.
using LabelCounts = std::vector<std::vector<int64_t>>;
LabelCounts count_labels(std::span<const ClassifierExample> examples, size_t labels);

/// Makes the batches, with word and n-gram dropout. The draws are a function of the seed and the number of the batch.
/// Immutable, so all members are thread-safe. The options must outlive it.
class ClassifierCollate {
 public:
  /// `examples` are those of all batches: the logit adjustments depend on how often each label occurs in them.
  ClassifierCollate(std::span<const ClassifierExample> examples, const TrainOptions& options, int32_t mask_id)
      : ClassifierCollate(count_labels(examples, options.labels.size()), options, mask_id) {}
  ClassifierCollate(const LabelCounts& counts, const TrainOptions& options, int32_t mask_id);
  ClassifierBatch operator()(std::vector<ClassifierExample> examples, const nn::BatchNumber& number) const;

 private:
  void drop_words(std::vector<ClassifierExample>& examples, Generator& rng) const;
  void drop_ngrams(std::vector<ClassifierExample>& examples, Generator& rng) const;
  const std::vector<float>& adjustment(const ClassifierExample& example) const;
  Tensor adjustments(std::span<const ClassifierExample> examples) const;
  Tensor labels(std::span<const ClassifierExample> examples) const;
  // The teachers' scores with the adjustment of the student's logits, at the temperature.
  std::vector<double> taught(const ClassifierExample& example) const;
  Tensor targets_of_problem(std::span<const ClassifierExample> examples) const;
  // Appends the shares of a text's labels; at a temperature of 1 the first have the teachers' part.
  void add_targets(const ClassifierExample& example, std::vector<float>& hard, std::vector<float>& soft) const;

  const TrainOptions& options_;
  int32_t mask_id_;
  std::vector<std::vector<float>> adjustments_;  // by group, then by label
};

}  // namespace qing::optim
