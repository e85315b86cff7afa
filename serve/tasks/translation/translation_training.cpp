#include <qing/serve/tasks/translation/translation_training.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <set>
#include <utility>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/translation/translation_scores.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/reports/card_sections.h>
#include <qing/serve/tasks/translation/translation_card.h>
#include <qing/tensor/errors.h>

namespace qing::serve::translation {
namespace {

namespace fs = std::filesystem;

// Below this number a dev set would be too small to compare models, so that none is held out unasked.
constexpr size_t kLeastPairsToHold = 200;
constexpr double kMostOfRange = 1e6;

std::vector<cli::DataFile> records_of(const std::vector<PairFile>& files) {
  std::vector<cli::DataFile> records;
  for (const PairFile& file : files) std::ranges::copy(file.files, std::back_inserter(records));
  return records;
}

size_t count_pairs(const std::vector<PairFile>& files) {
  size_t count = 0;
  for (const PairFile& file : files) count += file.pairs.size();
  return count;
}

// At most `most` pairs, evenly spread over the set; 0: all.
std::vector<optim::TranslationPair> spread(const std::vector<optim::TranslationPair>& pairs, std::int64_t most) {
  const auto wanted = static_cast<size_t>(most);
  if (wanted == 0 || pairs.size() <= wanted) return pairs;
  std::vector<optim::TranslationPair> some;
  for (size_t i = 0; i < wanted; ++i) some.push_back(pairs[i * pairs.size() / wanted]);
  return some;
}

}  // namespace

TranslationTraining::TranslationTraining(TaskData data, TranslationArguments arguments)
    : data_(std::move(data)), arguments_(std::move(arguments)) {
  if (!arguments_.dev_target.empty() && data_.dev.empty()) throw cli::UsageError("--dev-target needs --dev");
  std::vector<fs::path> all = data_.data;
  all.insert(all.end(), data_.dev.begin(), data_.dev.end());
  const PairReading reading{.source_column = arguments_.source_column,
                            .target_column = arguments_.target_column,
                            .directions = directions_of(arguments_.directions),
                            .speaks = data_.speaks};
  files_ = read_pairs(data_.data, arguments_.data_target, all, reading);
  dev_ = read_pairs(data_.dev, arguments_.dev_target, all, reading);
  if (data_.dev_share > 0) hold_out();
  pairs_ = take_pairs(files_);
  std::set<std::pair<std::string, std::string>> seen;
  for (const optim::TranslationPair& pair : pairs_) seen.emplace(pair.source, pair.target);
  for (const PairFile& file : dev_) {
    const auto shared = std::ranges::count_if(file.pairs, [&](const DirectedPair& one) {
      return seen.contains({one.pair.source, one.pair.target});
    });
    if (shared == 0) continue;
    tell(fmt::format("qing: warning: {} of {} of {} are also in --data; scores on them are too high", shared,
                     how_many(file.pairs.size(), "pair"), file.name));
  }
}

void TranslationTraining::tell(const std::string& line) const {
  if (data_.speaks) fmt::print(stderr, "{}\n", line);
}

// Moves a share of the documents into a dev set: the same in every run and order, in all directions alike.
void TranslationTraining::hold_out() {
  const size_t count = count_pairs(files_);
  if (!data_.dev_share_given && count < kLeastPairsToHold) {
    return tell(fmt::format("no dev set: {} too few to hold some out unasked; give --dev or --dev-share",
                            how_many(count, "pair is", "pairs are")));
  }
  PairFile dev{.files = {{.path = "held out", .sha256 = {}, .label_texts = {}}}, .name = "held out", .pairs = {}};
  std::string texts;
  for (PairFile& file : files_) {
    const auto held = std::stable_partition(file.pairs.begin(), file.pairs.end(), [&](const DirectedPair& one) {
      return !nn::held_by_hash(one.document, 100 * data_.dev_share);
    });
    for (auto pair = held; pair != file.pairs.end(); ++pair) {
      texts += pair->pair.source + "\t" + pair->pair.target + "\n";
      dev.pairs.push_back(std::move(*pair));
    }
    file.pairs.erase(held, file.pairs.end());
  }
  if (dev.pairs.empty() || dev.pairs.size() == count) {
    throw cli::UsageError(fmt::format("--dev-share {:g} holds {} of {} out; give --dev or another --dev-share",
                                      data_.dev_share, dev.pairs.size(), how_many(count, "pair")));
  }
  dev.files.front().unlabelled = std::ssize(dev.pairs);
  dev.files.front().sha256 = sha256_of_bytes(texts);
  tell(
      fmt::format("dev set: {} of {} of --data, held out by a hash of the document, or of the pair where there "
                  "is none (--dev-share {:g})",
                  dev.pairs.size(), how_many(count, "pair"), data_.dev_share));
  dev_.push_back(std::move(dev));
}

std::string TranslationTraining::about() const {
  const optim::TrainOptions& o = data_.options;
  const std::int64_t decoder = o.decoder_layers > 0 ? o.decoder_layers : o.layers;
  std::set<nn::TranslationDirection> directions;
  for (const optim::TranslationPair& pair : pairs_) directions.insert({pair.from, pair.to});
  std::string names;
  for (const auto& direction : directions) names += (names.empty() ? "" : ", ") + name_of(direction);
  return fmt::format("{} ({}) of {}, {}", how_many(pairs_.size(), "pair"), names, how_many(files_.size(), "file"),
                     o.from.empty() ? fmt::format("{} + {} layers of width {}", o.layers, decoder, o.width)
                                    : fmt::format("from {}", o.from.string()));
}

std::vector<cli::DataFile> TranslationTraining::data_files() const { return records_of(files_); }
std::vector<cli::DataFile> TranslationTraining::dev_files() const { return records_of(dev_); }

optim::TrainResult TranslationTraining::train(const fs::path& out, const optim::OnProgress& on_progress,
                                              const optim::RunOptions& run) {
  const optim::TranslationTrainResult result =
      optim::train_translation(pairs_, data_.options, out, on_progress, {}, run);
  if (result.left_out > 0) {
    tell(fmt::format(
        "qing: warning: {} of {} pairs were left out, because a text has more than {} tokens (--max-length)",
        result.left_out, pairs_.size(), data_.options.max_length));
  }
  return result;
}

std::vector<cli::SetScores> TranslationTraining::evaluate(const fs::path& folder) {
  const nn::TranslationFolder model = nn::load_translation_model(folder);
  std::vector<cli::SetScores> scores;
  for (const PairFile& file : dev_) {
    for (const auto& [direction, pairs] : by_direction(file.pairs)) {
      const optim::TranslationLoss loss = optim::translation_loss(model, pairs);
      if (loss.tokens == 0) {
        throw DataError(
            fmt::format("{} {}: all {} pairs have a text of more than {} tokens; give shorter ones, or raise "
                        "--max-length",
                        file.name, name_of(direction), pairs.size(), model.model->config().max_tokens));
      }
      const std::vector<optim::TranslationPair> some = spread(pairs, arguments_.eval_sentences);
      std::vector<std::string> references;
      references.reserve(some.size());
      for (const optim::TranslationPair& pair : some) references.push_back(pair.target);
      const optim::TranslationScores translated = optim::score_translations(
          optim::translate_sources(model, some,
                                   {.beam_size = arguments_.eval_beam, .max_tokens = data_.options.max_length}),
          references, direction.to);
      scores.push_back(
          {.name = fmt::format("{} {}", file.name, name_of(direction)),
           .score = -loss.loss,
           .values = {{"loss", loss.loss},
                      {"perplexity", std::exp(loss.loss)},
                      {"tokens", static_cast<double>(loss.tokens)},
                      {"too_long", static_cast<double>(loss.too_long)},
                      {"bleu", translated.bleu.score},
                      {"bleu_low", translated.bleu_interval.low},
                      {"bleu_high", translated.bleu_interval.high},
                      {"chrf", translated.chrf},
                      {"chrf_low", translated.chrf_interval.low},
                      {"chrf_high", translated.chrf_interval.high},
                      {"sentences", static_cast<double>(translated.sentences)}},
           .text = fmt::format(
               "loss {:.4f}, perplexity {:.2f}, BLEU {:.2f}, chrF {:.2f} ({}{})", loss.loss, std::exp(loss.loss),
               translated.bleu.score, translated.chrf, how_many(translated.sentences, "sentence"),
               loss.too_long > 0 ? fmt::format("; {} too long for the loss", how_many(loss.too_long, "pair")) : "")});
    }
  }
  return scores;
}

void TranslationTraining::write_card(const fs::path& folder, const TaskFacts& facts) {
  cli::write_card(folder, translation_card(folder, facts, arguments_));
}

std::vector<TaskOption> TranslationRecipe::options() {
  constexpr const char* kTables = "Tables";
  const optim::OptionRange count{0, kMostOfRange}, least_one{1, kMostOfRange};
  return {
      {.name = "data-target",
       .value = &arguments_.data_target,
       .help = "File of lines that translate those of --data, which are then lines too. Give one for each --data"},
      {.name = "dev-target",
       .value = &arguments_.dev_target,
       .help = "File of lines that translate those of --dev. Give one for each --dev"},
      {.name = "directions",
       .value = &arguments_.directions,
       .help = "Directions to learn, such as en-zh or en-zh,zh-en, by the names of the languages. Without it the model "
               "translates from the first column with the name of a language to the second"},
      {.name = "source-column",
       .value = &arguments_.source_column,
       .help = "Column of the sources. Without it source, src, or a column with the name of a language",
       .group = kTables},
      {.name = "target-column",
       .value = &arguments_.target_column,
       .help = "Column of the targets. Without it target, tgt, or the other column with the name of a language",
       .group = kTables},
      {.name = "licence",
       .value = &arguments_.licences,
       .help = "Licence of the data, a line of the model card. Repeat the option for several"},
      {.name = "eval-sentences",
       .value = &arguments_.eval_sentences,
       .help = "Number of sentences of each dev set and direction that an evaluation translates for BLEU and chrF. 0 "
               "means all",
       .group = "Run",
       .range = count},
      {.name = "eval-beam",
       .value = &arguments_.eval_beam,
       .help = "Beam size of these translations. 1 is greedy search",
       .group = "Run",
       .range = least_one},
  };
}

std::unique_ptr<TaskTraining> TranslationRecipe::read(TaskData data) {
  return std::make_unique<TranslationTraining>(std::move(data), arguments_);
}

}  // namespace qing::serve::translation
