#include <qing/optim/translation/translation_data.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

constexpr int64_t kPairsOfAThread = 64;

// The id of a language's token; nothing if the tokenizer has none.
std::optional<int32_t> tag_of(std::string_view language, const nn::Tokenizer& tokenizer) {
  const std::string token = nn::language_token(language);
  const int32_t id = tokenizer.id(token);
  if (id < 0 || tokenizer.token(id) != token) return std::nullopt;
  return id;
}

// A model of several languages has to be told which it translates to.
void check_tags(std::span<const TranslationPair> pairs, const nn::Tokenizer& tokenizer) {
  std::set<std::string> languages;
  for (const TranslationPair& pair : pairs) languages.insert(pair.to);
  for (const std::string& language : languages) {
    if (languages.size() == 1 || tag_of(language, tokenizer)) continue;
    throw ValueError(
        fmt::format("encode_pairs: the tokenizer has no token '{}', so the model does not know to translate to '{}'",
                    nn::language_token(language), language));
  }
}

}  // namespace

std::vector<std::string> language_tokens(std::span<const TranslationPair> pairs) {
  std::set<std::string> languages;
  for (const TranslationPair& pair : pairs) languages.insert(pair.to);
  std::vector<std::string> tokens;
  if (languages.size() > 1) std::ranges::transform(languages, std::back_inserter(tokens), nn::language_token);
  return tokens;
}

std::optional<std::vector<int32_t>> encode_source(const std::string& text, std::string_view to,
                                                  const nn::Tokenizer& tokenizer) {
  nn::Encoding source = tokenizer.encode(text);
  const std::optional<int32_t> tag = tag_of(to, tokenizer);
  const auto room = static_cast<size_t>(tokenizer.options().max_length);
  if (source.truncated || (tag && source.ids.size() == room)) return std::nullopt;
  if (tag) source.ids.insert(source.ids.begin(), *tag);
  return std::move(source.ids);
}

TranslationExamples encode_pairs(std::span<const TranslationPair> pairs, const nn::Tokenizer& tokenizer) {
  check_tags(pairs, tokenizer);
  std::vector<std::optional<TranslationExample>> encoded(pairs.size());
  parallel_for(std::ssize(pairs), kPairsOfAThread, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const TranslationPair& pair = pairs[static_cast<size_t>(i)];
      try {
        std::optional<std::vector<int32_t>> source = encode_source(pair.source, pair.to, tokenizer);
        nn::Encoding target = tokenizer.encode(pair.target);
        if (!source || target.truncated) continue;
        encoded[static_cast<size_t>(i)] = {*std::move(source), std::move(target.ids)};
      } catch (const DataError& error) { throw DataError(fmt::format("pair {}: {}", i, error.what())); }
    }
  });
  TranslationExamples result;
  for (auto& example : encoded) {
    if (example) {
      result.examples.push_back(*std::move(example));
    } else {
      ++result.too_long;
    }
  }
  return result;
}

nn::TranslationBatch TranslationCollate::operator()(const std::vector<TranslationExample>& examples) const {
  std::vector<std::span<const int32_t>> sources, targets;
  for (const TranslationExample& example : examples) {
    sources.emplace_back(example.source);
    targets.emplace_back(example.target);
  }
  return nn::TranslationBatch::of(sources, targets, start_id_);
}

nn::TranslationBatch part_of(const nn::TranslationBatch& batch, int64_t first, int64_t last) {
  const Offsets& offsets = batch.target.offsets;
  return {.source = batch.source.part(first, last),
          .target = batch.target.part(first, last),
          .labels = batch.labels.slice(0, offsets[static_cast<size_t>(first)], offsets[static_cast<size_t>(last)])};
}

}  // namespace qing::optim
