#include <qing/optim/classifier/streamed_texts.h>

#include <fmt/format.h>

#include <utility>
#include <vector>

#include <qing/nn/models/classifier_config.h>
#include <qing/optim/classifier/starting_model.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

std::vector<uint32_t> sizes_of(const TokenFile& tokens) {
  std::vector<uint32_t> sizes;
  for (const TokenBlock& block : tokens.blocks()) sizes.push_back(block.texts);
  return sizes;
}

}  // namespace

void check_streamed_options(const TrainOptions& o) {
  const auto refuse = [](bool given, const char* option, const char* why) {
    if (!given) return;
    throw ValueError(
        fmt::format("train_classifier: the option {} does not go with texts that are read from the disk: {}; leave one "
                    "of the two out",
                    option, why));
  };
  refuse(o.ngram_min_texts > 0, "ngram_min_texts", "its table is counted over all texts in memory");
  refuse(o.prune_vocab != 0, "prune_vocab", "the tokens that occur are known only after all texts are tokenized");
  refuse(!o.teachers.empty(), "teachers", "a teacher's predictions of all texts are kept in memory");
  refuse(!o.extra_groups.empty(), "extra_groups", "a share of a group is drawn in memory");
  refuse(!o.unlabelled_groups.empty(), "unlabelled_groups", "it needs a teacher");
  refuse(o.multi_label != 0, "multi_label", "the file of tokens has one label for each text");
  refuse(o.regression != 0, "regression", "the file of tokens has one label for each text");
  if (o.from.empty() || o.labels.empty()) return;
  const auto config = nn::ClassifierConfig::load_for_fine_tuning(o.from / "config.json");
  refuse(config.ngram_head && keeps_head(config, o), fmt::format("from {}", o.from.string()).c_str(),
         "the model has n-grams of its own, and the file of tokens has none");
}

StreamedBatches::StreamedBatches(std::shared_ptr<const TokenFile> tokens, const ClassifierCollate& collate,
                                 const TrainOptions& options)
    : tokens_(std::move(tokens)),
      collate_(collate),
      batch_(static_cast<size_t>(options.batch)),
      shuffle_(sizes_of(*tokens_), {.seed = options.seed}) {}

void StreamedBatches::start(uint64_t epoch, size_t position) {
  shuffle_.start(epoch, position * batch_);
  next_ = {epoch, position};
}

StreamedBatches::Task StreamedBatches::next() {
  auto places = std::make_shared<std::vector<nn::BlockShuffle::Place>>();
  while (places->size() < batch_) {
    const auto place = shuffle_.next();
    if (!place) break;
    places->push_back(*place);
  }
  if (places->empty()) return {};
  return [this, places = std::move(places), number = std::exchange(next_, {next_.epoch, next_.batch + 1})] {
    std::vector<ClassifierExample> examples;
    for (const auto& [block, row] : *places) {
      TokenFile::Text text = tokens_->text(block, row);
      examples.push_back({.ids = std::move(text.ids), .ngrams = {}, .label = text.label, .group = text.group});
    }
    return collate_(std::move(examples), number);
  };
}

std::optional<size_t> StreamedBatches::batches() const { return (shuffle_.size() + batch_ - 1) / batch_; }

std::string StreamedBatches::description() const {
  return fmt::format("{}, batches of {}", shuffle_.description(), batch_);
}

}  // namespace qing::optim
