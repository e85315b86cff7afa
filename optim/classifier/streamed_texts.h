// The data of classifier training from a file of tokenized texts: what does not fit the memory stays on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <qing/nn/data/batch_source.h>
#include <qing/nn/data/block_shuffle.h>
#include <qing/optim/classifier/classifier_data.h>
#include <qing/optim/classifier/token_file.h>
#include <qing/optim/classifier/train_options.h>

namespace qing::optim {

/// The texts of a training, which were tokenized before.
struct StreamedTexts {
  std::shared_ptr<const TokenFile> tokens;
  std::filesystem::path tokenizer;  ///< folder of the vocabulary; with TrainOptions::from that one's counts
  LabelCounts counts;               ///< of the texts in the file
};

/// ValueError naming the first option that needs all texts in memory: n-grams, a pruned vocabulary, teachers, auxiliary
/// and unlabelled texts, several labels and numbers. With labels the same for a folder `from` whose n-grams would be
/// kept (keeps_head); IoError and DataError of its configuration.
void check_streamed_options(const TrainOptions& options);

/// The batches of an epoch in the order of nn::BlockShuffle: `options.batch` consecutive texts each, the last one
/// smaller. Any batch is reached without those before it. Memory: BlockShuffle's, and the batch.
class StreamedBatches : public nn::BatchSource<ClassifierBatch> {
 public:
  /// The options must outlive it.
  StreamedBatches(std::shared_ptr<const TokenFile> tokens, const ClassifierCollate& collate,
                  const TrainOptions& options);

  void start(uint64_t epoch, size_t position) override;
  Task next() override;
  std::optional<size_t> batches() const override;
  std::optional<size_t> examples() const override { return shuffle_.size(); }
  std::string description() const override;

 private:
  std::shared_ptr<const TokenFile> tokens_;
  ClassifierCollate collate_;
  size_t batch_;
  nn::BlockShuffle shuffle_;
  nn::BatchNumber next_;
};

}  // namespace qing::optim
