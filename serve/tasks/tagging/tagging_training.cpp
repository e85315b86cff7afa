#include <qing/serve/tasks/tagging/tagging_training.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <set>
#include <utility>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/models/encoder_config.h>
#include <qing/nn/models/tagger.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/reports/card_sections.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/tasks/tagging/tagging_card.h>
#include <qing/tensor/errors.h>

namespace qing::serve::tagging {
namespace {

namespace fs = std::filesystem;

// Below this number a dev set would be too small to compare models, so that none is held out unasked.
constexpr size_t kLeastSentencesToHold = 200;

void check_tags(const fs::path& file, const std::vector<nn::TaggedSentence>& sentences) {
  for (const nn::TaggedSentence& sentence : sentences) {
    for (size_t i = 0; i < sentence.tags.size(); ++i) {
      try {
        nn::normal_tag(sentence.tags[i]);
      } catch (const ValueError& error) { throw nn::LineError(file.string(), sentence.line_of(i), error.what()); }
    }
  }
}

std::vector<SentenceFile> read_sentence_files(const std::vector<fs::path>& files, const std::vector<fs::path>& among) {
  cli::check_distinct(files);
  const std::vector<std::string> names = cli::names_of(files, among);
  std::vector<SentenceFile> all;
  for (size_t i = 0; i < files.size(); ++i) {
    // Not within the braces: g++ 12 destroys members of a nested aggregate twice when a later initializer throws.
    SentenceFile one{{files[i].string(), {}, {}, 0}, names[i], {}};
    one.file.sha256 = sha256_of(files[i]);
    one.sentences = nn::read_tagged_sentences(files[i]);
    check_tags(files[i], one.sentences);
    one.file.unlabelled = std::ssize(one.sentences);
    all.push_back(std::move(one));
  }
  return all;
}

std::string joined(const nn::TaggedSentence& sentence) {
  std::string text;
  for (const std::string& word : sentence.words) text += (text.empty() ? "" : " ") + word;
  return text;
}

void warn_of_shared_sentences(const std::vector<nn::TaggedSentence>& sentences, const std::vector<SentenceFile>& dev) {
  std::set<std::string> seen;
  for (const nn::TaggedSentence& sentence : sentences) seen.insert(joined(sentence));
  for (const SentenceFile& file : dev) {
    const auto shared = std::ranges::count_if(
        file.sentences, [&](const nn::TaggedSentence& sentence) { return seen.contains(joined(sentence)); });
    if (shared == 0) continue;
    fmt::print(stderr, "qing: warning: {} of {} of {} are also in --data; scores on them are too high\n", shared,
               how_many(file.sentences.size(), "sentence"), file.name);
  }
}

std::vector<cli::DataFile> records_of(const std::vector<SentenceFile>& files) {
  std::vector<cli::DataFile> records;
  records.reserve(files.size());
  for (const SentenceFile& file : files) records.push_back(file.file);
  return records;
}

cli::SetScores set_scores(const SentenceFile& file, const optim::TagScores& scores) {
  cli::SetScores set{
      .name = file.name,
      .score = scores.all.f1(),
      .values = {{"f1", scores.all.f1()},
                 {"precision", scores.all.precision()},
                 {"recall", scores.all.recall()},
                 {"accuracy", scores.accuracy()},
                 {"entities", static_cast<double>(scores.all.expected)}},
      .text =
          fmt::format("F1 {:.4f}, precision {:.4f}, recall {:.4f}, word accuracy {:.4f} ({} entities)", scores.all.f1(),
                      scores.all.precision(), scores.all.recall(), scores.accuracy(), scores.all.expected)};
  for (const auto& [type, counts] : scores.types) { set.values.emplace_back("f1_" + type, counts.f1()); }
  return set;
}

}  // namespace

TaggingTraining::TaggingTraining(TaskData data) : data_(std::move(data)) {
  std::vector<fs::path> all = data_.data;
  all.insert(all.end(), data_.dev.begin(), data_.dev.end());
  files_ = read_sentence_files(data_.data, all);
  dev_ = read_sentence_files(data_.dev, all);
  if (data_.dev_share > 0) hold_out();
  for (SentenceFile& file : files_) {
    std::ranges::move(file.sentences, std::back_inserter(sentences_));
    file.sentences.clear();
  }
  if (data_.speaks) warn_of_shared_sentences(sentences_, dev_);
}

// Moves a share of the sentences into a dev set: the same in every run and order, and equal ones on the same side.
void TaggingTraining::hold_out() {
  size_t count = 0;
  for (const SentenceFile& file : files_) count += file.sentences.size();
  const auto tell = [&](const std::string& line) {
    if (data_.speaks) fmt::print(stderr, "{}\n", line);
  };
  if (!data_.dev_share_given && count < kLeastSentencesToHold) {
    return tell(fmt::format("no dev set: {} too few to hold some out unasked; give --dev or --dev-share",
                            how_many(count, "sentence is", "sentences are")));
  }
  SentenceFile dev{{"held out", {}, {}, 0}, "held out", {}};
  std::string texts;
  for (SentenceFile& file : files_) {
    const auto held = std::stable_partition(file.sentences.begin(), file.sentences.end(), [&](const auto& sentence) {
      return !nn::held_by_hash(joined(sentence), 100 * data_.dev_share);
    });
    for (auto sentence = held; sentence != file.sentences.end(); ++sentence) {
      texts += joined(*sentence) + "\n";
      dev.sentences.push_back(std::move(*sentence));
    }
    file.sentences.erase(held, file.sentences.end());
    file.file.unlabelled = std::ssize(file.sentences);
  }
  if (dev.sentences.empty() || dev.sentences.size() == count) {
    throw cli::UsageError(fmt::format("--dev-share {:g} holds {} of {} out; give --dev or another --dev-share",
                                      data_.dev_share, dev.sentences.size(), how_many(count, "sentence")));
  }
  dev.file.unlabelled = std::ssize(dev.sentences);
  dev.file.sha256 = sha256_of_bytes(texts);
  tell(fmt::format("dev set: {} of {} of --data, held out by a hash of the sentence (--dev-share {:g})",
                   dev.sentences.size(), how_many(count, "sentence"), data_.dev_share));
  dev_.push_back(std::move(dev));
}

std::string TaggingTraining::about() const {
  const optim::TrainOptions& o = data_.options;
  return fmt::format("{} of {}, {}", how_many(sentences_.size(), "sentence"), how_many(files_.size(), "file"),
                     o.from.empty() ? fmt::format("{} layers of width {}", o.layers, o.width)
                                    : fmt::format("from {}", o.from.string()));
}

std::vector<cli::DataFile> TaggingTraining::data_files() const { return records_of(files_); }
std::vector<cli::DataFile> TaggingTraining::dev_files() const { return records_of(dev_); }

optim::TrainResult TaggingTraining::train(const fs::path& out, const optim::OnProgress& on_progress,
                                          const optim::RunOptions& run) {
  return optim::train_tagger(sentences_, data_.options, out, on_progress, run);
}

std::vector<cli::SetScores> TaggingTraining::evaluate(const fs::path& folder) {
  const auto model = nn::Tagger::load(folder);
  std::vector<cli::SetScores> scores;
  for (const SentenceFile& file : dev_) {
    scores.push_back(set_scores(file, optim::evaluate_tagger(*model, file.sentences)));
  }
  return scores;
}

void TaggingTraining::write_card(const fs::path& folder, const TaskFacts& facts) {
  cli::write_card(folder, tagger_card(folder, facts));
}

std::unique_ptr<TaskTraining> TaggingRecipe::read(TaskData data) {
  return std::make_unique<TaggingTraining>(std::move(data));
}

}  // namespace qing::serve::tagging
