#include <qing/optim/classifier/starting_model.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/text/bpe_trainer.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

constexpr const char* kWords = "bert.embeddings.word_embeddings.weight";

std::vector<std::string> texts_of(std::span<const nn::Example> examples) {
  std::vector<std::string> texts;
  texts.reserve(examples.size());
  for (const nn::Example& example : examples) texts.push_back(example.text);
  return texts;
}

std::unique_ptr<nn::NgramHead> make_ngrams(std::span<const std::string> texts, const TrainOptions& o,
                                           const nn::TokenizerOptions& options) {
  if (o.ngram_min_texts == 0) return nullptr;
  auto table = nn::NgramTable::build(texts, options, o.ngram_min_texts);
  return std::make_unique<nn::NgramHead>(std::move(table), static_cast<int64_t>(o.labels.size()));
}

StartingModel new_model(nn::Tokenizer tokenizer, const TrainOptions& o) {
  nn::ClassifierConfig config{.encoder = new_encoder(o, tokenizer), .problem = o.problem(), .labels = o.labels};
  return {std::move(tokenizer), config};
}

StartingModel new_model(std::span<const nn::Example> examples, const TrainOptions& o) {
  const std::vector<std::string> texts = texts_of(examples);
  StartingModel model = new_model(new_tokenizer(texts, o), o);
  model.ngrams = make_ngrams(texts, o, model.tokenizer.options());
  return model;
}

// BERT's tokenizer gets files in qing's own form. Others keep theirs.
nn::Tokenizer cut_at(const nn::Tokenizer& stored, int64_t max_length) {
  nn::TokenizerOptions options = stored.options();
  options.max_length = static_cast<int32_t>(max_length);
  return stored.plain_bert() ? nn::Tokenizer(stored.tokens(), options) : stored.limited(options.max_length);
}

// The weights of the model that is trained, whatever head the folder has.
nn::PretrainedWeights read_weights(const std::filesystem::path& folder, const nn::EncoderConfig& config) {
  nn::PretrainedWeights weights = nn::read_pretrained_weights(folder, config, 0);
  // Other heads.
  std::erase_if(weights.tensors, [](const auto& entry) {
    return !entry.first.starts_with("bert.") && !entry.first.starts_with("classifier.");
  });
  if (!weights.tensors.contains(kWords)) throw DataError(fmt::format("{}: missing {}", weights.path, kWords));
  return weights;
}

// The ids that the examples use, and those in front of the first position: families that number positions from behind
// the padding's id need the same id for it.
std::vector<int32_t> used_ids(const StartingModel& model, std::span<const nn::Example> examples) {
  std::set<int32_t> used;
  const int64_t fixed = std::min<int64_t>(model.config.encoder.first_position(), model.tokenizer.vocab_size());
  for (int32_t id = 0; id < fixed; ++id) used.insert(id);
  for (size_t i = 0; i < examples.size(); ++i) {
    try {
      const nn::Encoding encoding = model.tokenizer.encode(examples[i].text);
      used.insert(encoding.ids.begin(), encoding.ids.end());
    } catch (const DataError& error) {
      throw DataError(fmt::format("train_classifier: example {}: {}", i, error.what()));
    }
  }
  return {used.begin(), used.end()};
}

void prune(StartingModel& model, std::span<const nn::Example> examples) {
  auto [tokenizer, kept] = model.tokenizer.pruned(used_ids(model, examples));
  const NoGradGuard guard;
  Tensor& words = model.weights.at(kWords);
  words = index_select(words, 0, Tensor::from(std::span<const int32_t>(kept), {static_cast<int64_t>(kept.size())}));
  model.tokenizer = std::move(tokenizer);
  model.config.encoder.vocab_size = static_cast<int64_t>(kept.size());
  const auto padding = std::find(kept.begin(), kept.end(), model.config.encoder.pad_token_id);
  model.config.encoder.pad_token_id =
      padding != kept.end() ? padding - kept.begin() : std::max(0, model.tokenizer.pad_id());
}

void check_ngrams(const nn::ClassifierConfig& config, const TrainOptions& o) {
  if (o.ngram_min_texts == 0) return;
  // Those of the folder are kept with its head.
  if (config.ngram_head && keeps_head(config, o)) {
    throw ValueError(fmt::format("train_classifier: {} has n-grams of its own; leave the option ngram_min_texts out",
                                 o.from.string()));
  }
  if (config.encoder.family != nn::EncoderFamily::bert) {
    throw ValueError(
        fmt::format("train_classifier: {} is of the model_type \"{}\", and n-grams stand beside BERT's "
                    "encoder only; leave the option ngram_min_texts out",
                    o.from.string(), nn::names_of(config.encoder.family).model_type));
  }
}

StartingModel existing_model(std::span<const nn::Example> examples, const TrainOptions& o) {
  const nn::ClassifierConfig config = nn::ClassifierConfig::load_for_fine_tuning(o.from / "config.json");
  check_ngrams(config, o);
  const auto most = static_cast<int32_t>(config.encoder.max_tokens());
  const nn::Tokenizer stored = nn::Tokenizer::load(o.from, most);
  if (stored.vocab_size() > config.encoder.vocab_size) {
    throw DataError(fmt::format("{}: the tokenizer has {} entries, the model {}", o.from.string(), stored.vocab_size(),
                                config.encoder.vocab_size));
  }
  if (o.word_dropout > 0 && stored.mask_id() < 0) {
    throw ValueError(fmt::format(
        "train_classifier: the tokenizer of {} has no mask token; leave the option word_dropout out", o.from.string()));
  }
  nn::TokenizerOptions options = stored.options();
  options.max_length = static_cast<int32_t>(std::min<int64_t>(o.max_length, most));
  StartingModel model{cut_at(stored, options.max_length), config};
  auto [file, weights] = read_weights(o.from, config.encoder);
  model.weights = std::move(weights);
  model.weights_file = std::move(file);
  const bool same_head = keeps_head(config, o);
  if (!same_head) {
    std::erase_if(model.weights, [](const auto& entry) { return entry.first.starts_with("classifier."); });
  }
  if (o.ngram_min_texts > 0) model.ngrams = make_ngrams(texts_of(examples), o, options);
  if (config.ngram_head && same_head) {
    model.ngrams = std::make_unique<nn::NgramHead>(
        nn::NgramHead::load(o.from / nn::kNgramsFile, options, static_cast<int64_t>(o.labels.size())));
  }
  model.config.encoder.hidden_dropout_prob = model.config.encoder.attention_probs_dropout_prob = o.dropout;
  model.config.problem = o.problem();
  model.config.labels = o.labels;
  model.config.thresholds.clear();
  model.config.calibration_temperature = 1;
  model.config.reference.reset();
  if (o.prune_vocab != 0) prune(model, examples);
  return model;
}

}  // namespace

nn::Tokenizer new_tokenizer(std::span<const std::string> texts, const TrainOptions& o) {
  const auto vocab = static_cast<int32_t>(o.vocab), max_length = static_cast<int32_t>(o.max_length);
  if (o.byte_level != 0) return nn::train_byte_level_bpe(texts, vocab, max_length);
  const nn::TokenizerOptions options{.lowercase = true, .max_length = max_length};
  return nn::Tokenizer(nn::train_wordpiece(texts, vocab, options), options);
}

nn::EncoderConfig new_encoder(const TrainOptions& o, const nn::Tokenizer& tokenizer) {
  nn::EncoderConfig encoder;
  encoder.vocab_size = tokenizer.vocab_size();
  encoder.hidden_size = o.width;
  encoder.num_hidden_layers = o.layers;
  encoder.num_attention_heads = o.heads > 0 ? o.heads : std::max<int64_t>(1, o.width / 32);
  encoder.intermediate_size = 4 * o.width;
  encoder.max_position_embeddings = o.max_length;
  encoder.hidden_dropout_prob = encoder.attention_probs_dropout_prob = o.dropout;
  encoder.pad_token_id = tokenizer.pad_id();
  return encoder;
}

nn::Tokenizer starting_tokenizer(const TrainOptions& o, const nn::EncoderConfig& encoder) {
  const auto most = static_cast<int32_t>(encoder.max_tokens());
  const nn::Tokenizer stored = nn::Tokenizer::load(o.from, most);
  if (stored.vocab_size() > encoder.vocab_size) {
    throw DataError(fmt::format("{}: the tokenizer has {} entries, the model {}", o.from.string(), stored.vocab_size(),
                                encoder.vocab_size));
  }
  return cut_at(stored, std::min<int64_t>(o.max_length, most));
}

nn::Tokenizer tokenizer_of(const std::filesystem::path& folder, const TrainOptions& o) {
  if (o.from.empty()) return cut_at(nn::Tokenizer::load(folder), o.max_length);
  return starting_tokenizer(o, nn::ClassifierConfig::load_for_fine_tuning(o.from / nn::kConfigFile).encoder);
}

bool keeps_head(const nn::ClassifierConfig& config, const TrainOptions& options) {
  return config.labels == options.labels && nn::same_scores(config.problem, options.problem());
}

StartingModel starting_model(std::span<const nn::Example> examples, const TrainOptions& options) {
  return options.from.empty() ? new_model(examples, options) : existing_model(examples, options);
}

StartingModel starting_model(const std::filesystem::path& tokenizer, const TrainOptions& options) {
  if (!options.from.empty()) return existing_model({}, options);
  return new_model(tokenizer_of(tokenizer, options), options);
}

void load_starting_weights(nn::EncoderForSequenceClassification& model, const StartingModel& start) {
  if (start.weights.empty()) return;
  const auto result = [&] {
    try {
      return model.load_state_dict(start.weights, false);
    } catch (const DataError& error) { throw DataError(start.weights_file + ": " + error.what()); }
  }();
  std::vector<std::string> problems;
  for (const std::string& name : result.missing_keys) {
    if (!name.starts_with("classifier.") && !name.starts_with("bert.pooler.")) problems.push_back("missing " + name);
  }
  for (const std::string& name : result.unexpected_keys) problems.push_back("unknown " + name);
  if (problems.empty()) return;
  throw DataError(fmt::format("{}: does not fit the model in config.json: {} mismatches: {}", start.weights_file,
                              problems.size(), fmt::join(problems, "; ")));
}

}  // namespace qing::optim
