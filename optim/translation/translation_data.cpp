#include <qing/optim/translation/translation_data.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

constexpr int64_t kPairsOfAThread = 64;

// The id of the token of each target language that the tokenizer knows.
std::map<std::string, int32_t> tags_of(std::span<const TranslationPair> pairs, const nn::Tokenizer& tokenizer) {
  std::map<std::string, std::optional<int32_t>> found;
  for (const TranslationPair& pair : pairs) {
    if (found.contains(pair.to)) continue;
    const std::string token = nn::language_token(pair.to);
    const int32_t id = tokenizer.id(token);
    const bool known = id >= 0 && tokenizer.token(id) == token;
    found.emplace(pair.to, known ? std::optional(id) : std::nullopt);
  }
  std::map<std::string, int32_t> tags;
  for (const auto& [language, id] : found) {
    if (id) tags.emplace(language, *id);
    if (id || found.size() == 1) continue;
    throw ValueError(
        fmt::format("encode_pairs: the tokenizer has no token '{}', so the model does not know to translate to '{}'",
                    nn::language_token(language), language));
  }
  return tags;
}

}  // namespace

std::vector<std::string> language_tokens(std::span<const TranslationPair> pairs) {
  std::set<std::string> languages;
  for (const TranslationPair& pair : pairs) languages.insert(pair.to);
  std::vector<std::string> tokens;
  if (languages.size() > 1) std::ranges::transform(languages, std::back_inserter(tokens), nn::language_token);
  return tokens;
}

TranslationExamples encode_pairs(std::span<const TranslationPair> pairs, const nn::Tokenizer& tokenizer) {
  const std::map<std::string, int32_t> tags = tags_of(pairs, tokenizer);
  const auto room = static_cast<size_t>(tokenizer.options().max_length);
  std::vector<std::optional<TranslationExample>> encoded(pairs.size());
  parallel_for(std::ssize(pairs), kPairsOfAThread, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const TranslationPair& pair = pairs[static_cast<size_t>(i)];
      try {
        nn::Encoding source = tokenizer.encode(pair.source), target = tokenizer.encode(pair.target);
        const auto tag = tags.find(pair.to);
        if (source.truncated || target.truncated || (tag != tags.end() && source.ids.size() == room)) continue;
        if (tag != tags.end()) source.ids.insert(source.ids.begin(), tag->second);
        encoded[static_cast<size_t>(i)] = {std::move(source.ids), std::move(target.ids)};
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
