#include <qing/optim/classifier/starting_model.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/models/pretrained.h>
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

StartingModel new_model(std::span<const nn::Example> examples, const TrainOptions& o) {
  const nn::TokenizerOptions options{.lowercase = true, .max_length = static_cast<int32_t>(o.max_length)};
  const std::vector<std::string> texts = texts_of(examples);
  nn::Tokenizer tokenizer(nn::train_wordpiece(texts, static_cast<int32_t>(o.vocab), options), options);
  nn::EncoderConfig encoder;
  encoder.vocab_size = tokenizer.vocab_size();
  encoder.hidden_size = o.width;
  encoder.num_hidden_layers = o.layers;
  encoder.num_attention_heads = o.heads > 0 ? o.heads : std::max<int64_t>(1, o.width / 32);
  encoder.intermediate_size = 4 * o.width;
  encoder.max_position_embeddings = o.max_length;
  encoder.hidden_dropout_prob = encoder.attention_probs_dropout_prob = o.dropout;
  encoder.pad_token_id = tokenizer.pad_id();
  nn::ClassifierConfig config{.encoder = encoder, .labels = o.labels};
  return {std::move(tokenizer), config, make_ngrams(texts, o, options)};
}

// The weights of the model that is trained, whatever head the folder has.
nn::StateDict read_weights(const std::filesystem::path& folder, const nn::EncoderConfig& config) {
  auto [path, weights] = nn::read_pretrained_weights(folder, config, 0);
  // Other heads.
  std::erase_if(weights, [](const auto& entry) {
    return !entry.first.starts_with("bert.") && !entry.first.starts_with("classifier.");
  });
  if (!weights.contains(kWords)) throw DataError(fmt::format("{}: missing {}", path, kWords));
  return weights;
}

// The ids that the examples use, and the special tokens', in order.
std::vector<int32_t> used_ids(const nn::Tokenizer& tokenizer, std::span<const nn::Example> examples) {
  std::set<int32_t> used;
  for (const std::string_view token : nn::kSpecialTokens) used.insert(tokenizer.id(token));
  for (size_t i = 0; i < examples.size(); ++i) {
    try {
      const nn::Encoding encoding = tokenizer.encode(examples[i].text);
      used.insert(encoding.ids.begin(), encoding.ids.end());
    } catch (const DataError& error) {
      throw DataError(fmt::format("train_classifier: example {}: {}", i, error.what()));
    }
  }
  return {used.begin(), used.end()};
}

// The longest piece of a word that the whole vocabulary has is also the longest of the kept ones, if it is kept. So
// texts of kept tokens are split as before.
void prune(StartingModel& model, std::span<const nn::Example> examples) {
  const std::vector<int32_t> kept = used_ids(model.tokenizer, examples);
  std::vector<std::string> vocabulary;
  vocabulary.reserve(kept.size());
  for (const int32_t id : kept) vocabulary.push_back(model.tokenizer.token(id));
  model.tokenizer = nn::Tokenizer(std::move(vocabulary), model.tokenizer.options());
  const NoGradGuard guard;
  Tensor& words = model.weights.at(kWords);
  words = index_select(words, 0, Tensor::from(std::span<const int32_t>(kept), {static_cast<int64_t>(kept.size())}));
  model.config.encoder.vocab_size = model.tokenizer.vocab_size();
  model.config.encoder.pad_token_id = model.tokenizer.pad_id();
}

StartingModel existing_model(std::span<const nn::Example> examples, const TrainOptions& o) {
  const nn::ClassifierConfig config = nn::ClassifierConfig::load(o.from / "config.json");
  const auto most = static_cast<int32_t>(config.encoder.max_tokens());
  const nn::Tokenizer stored = nn::Tokenizer::load(o.from, most);
  if (stored.vocab_size() > config.encoder.vocab_size) {
    throw DataError(fmt::format("{}: the tokenizer has {} entries, the model {}", o.from.string(), stored.vocab_size(),
                                config.encoder.vocab_size));
  }
  if (config.encoder.family != nn::EncoderFamily::bert || !stored.plain_bert()) {
    throw DataError(fmt::format(
        "{}: only models of BERT with BERT's tokenizer can be fine-tuned, not the model_type \"{}\"{}", o.from.string(),
        nn::names_of(config.encoder.family).model_type, stored.plain_bert() ? "" : " with another tokenizer"));
  }
  nn::TokenizerOptions options = stored.options();
  options.max_length = static_cast<int32_t>(std::min<int64_t>(o.max_length, most));
  std::vector<std::string> vocabulary;
  vocabulary.reserve(static_cast<size_t>(stored.vocab_size()));
  for (int32_t id = 0; id < stored.vocab_size(); ++id) vocabulary.push_back(stored.token(id));
  StartingModel model{nn::Tokenizer(std::move(vocabulary), options), config};
  model.weights = read_weights(o.from, config.encoder);
  const bool same_labels = config.labels == o.labels;
  if (!same_labels) {
    std::erase_if(model.weights, [](const auto& entry) { return entry.first.starts_with("classifier."); });
  }
  if (config.ngram_head && o.ngram_min_texts > 0) {
    throw ValueError(fmt::format("train_classifier: {} has n-grams of its own; leave --ngrams out", o.from.string()));
  }
  if (o.ngram_min_texts > 0) model.ngrams = make_ngrams(texts_of(examples), o, options);
  if (config.ngram_head && same_labels) {
    model.ngrams = std::make_unique<nn::NgramHead>(
        nn::NgramHead::load(o.from / nn::kNgramsFile, options, static_cast<int64_t>(o.labels.size())));
  }
  model.config.encoder.hidden_dropout_prob = model.config.encoder.attention_probs_dropout_prob = o.dropout;
  model.config.labels = o.labels;
  model.config.calibration_temperature = 1;
  model.config.reference.reset();
  if (o.prune_vocab != 0) prune(model, examples);
  return model;
}

}  // namespace

StartingModel starting_model(std::span<const nn::Example> examples, const TrainOptions& options) {
  return options.from.empty() ? new_model(examples, options) : existing_model(examples, options);
}

void load_starting_weights(nn::EncoderForSequenceClassification& model, const nn::StateDict& weights) {
  if (weights.empty()) return;
  const nn::LoadResult result = model.load_state_dict(weights, false);
  std::vector<std::string> problems;
  for (const std::string& name : result.missing_keys) {
    if (!name.starts_with("classifier.") && !name.starts_with("bert.pooler.")) problems.push_back("missing " + name);
  }
  for (const std::string& name : result.unexpected_keys) problems.push_back("unknown " + name);
  if (problems.empty()) return;
  throw DataError(fmt::format("train_classifier: the weights to begin with have {} mismatches: {}", problems.size(),
                              fmt::join(problems, "; ")));
}

}  // namespace qing::optim
