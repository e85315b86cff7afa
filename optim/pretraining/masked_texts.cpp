#include <qing/optim/pretraining/masked_texts.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

constexpr int64_t kMaskedGrain = 64;
// How often a chosen token becomes the mask, and another token.
constexpr float kMaskShare = 0.8F, kRandomShare = 0.1F;

enum class WordMark { continuation, mark_in_front };
constexpr std::string_view kContinuation = "##", kMetaspace = "▁", kByteSpace = "Ġ";

WordMark mark_of(const std::vector<std::string>& tokens) {
  const auto begins = [](std::string_view mark) {
    return [mark](const std::string& token) { return token.starts_with(mark); };
  };
  return std::ranges::any_of(tokens, begins(kContinuation)) ? WordMark::continuation : WordMark::mark_in_front;
}

bool continues_word(std::string_view token, WordMark mark) {
  if (mark == WordMark::continuation) return token.starts_with(kContinuation);
  return !token.starts_with(kMetaspace) && !token.starts_with(kByteSpace);
}

std::vector<float> uniform_numbers(int64_t count, Generator& rng) {
  Tensor drawn = Tensor::empty({count}, DType::f32);
  rng.fill_uniform(drawn, 0, 1);
  const auto values = drawn.span<float>();
  return {values.begin(), values.end()};
}

// The first and the last tokens of words, or of single tokens.
std::vector<std::pair<size_t, size_t>> units_of(const MaskedExample& example, bool whole_words) {
  std::vector<std::pair<size_t, size_t>> units;
  for (size_t i = 0; i < example.ids.size(); ++i) {
    if (example.places[i] == TokenPlace::special) continue;
    const bool goes_on =
        whole_words && example.places[i] == TokenPlace::inside_word && !units.empty() && units.back().second == i;
    if (goes_on) {
      ++units.back().second;
    } else {
      units.emplace_back(i, i + 1);
    }
  }
  return units;
}

// The tokens to predict, ascending. A word that would be too many is left out, as BERT does. Where every word is longer
// than the share, which scripts without spaces bring about, the first tokens of one are taken.
std::vector<size_t> chosen(const MaskedExample& example, const MaskingOptions& options, Generator& rng) {
  auto units = units_of(example, options.whole_words);
  const auto tokens = std::accumulate(units.begin(), units.end(), size_t{0},
                                      [](size_t sum, const auto& unit) { return sum + unit.second - unit.first; });
  const auto most = std::max<size_t>(1, static_cast<size_t>(std::lround(options.share * static_cast<double>(tokens))));
  nn::shuffle(units, rng);
  std::vector<size_t> result;
  for (const auto& [begin, end] : units) {
    if (result.size() >= most) break;
    if (result.size() + end - begin > most) continue;
    for (size_t i = begin; i < end; ++i) result.push_back(i);
  }
  if (result.empty()) {
    for (size_t i = 0; i < most; ++i) result.push_back(units.front().first + i);
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace

std::vector<MaskedExample> masked_examples(std::span<const std::string> texts, const nn::Tokenizer& tokenizer) {
  const std::vector<std::string> tokens = tokenizer.tokens();
  const WordMark mark = mark_of(tokens);
  std::vector<std::vector<MaskedExample>> windows(texts.size());
  parallel_for(std::ssize(texts), kMaskedGrain, [&](int64_t begin, int64_t end) {
    for (int64_t text = begin; text < end; ++text) {
      try {
        for (nn::Encoding& encoding : tokenizer.windows(texts[text])) {
          MaskedExample example;
          bool any = false;
          for (size_t i = 0; i < encoding.ids.size(); ++i) {
            const auto [from, to] = encoding.offsets[i];
            const std::string& token = tokens[static_cast<size_t>(encoding.ids[i])];
            const bool special = from == to;
            any = any || !special;
            example.places.push_back(special                       ? TokenPlace::special
                                     : continues_word(token, mark) ? TokenPlace::inside_word
                                                                   : TokenPlace::first_of_word);
          }
          example.ids = std::move(encoding.ids);
          if (any) windows[text].push_back(std::move(example));
        }
      } catch (const DataError& error) { throw DataError(fmt::format("text {}: {}", text, error.what())); }
    }
  });
  std::vector<MaskedExample> examples;
  for (auto& of_text : windows) std::ranges::move(of_text, std::back_inserter(examples));
  return examples;
}

std::vector<int64_t> MaskedBatch::masked_tokens() const {
  std::vector<int64_t> counts(static_cast<size_t>(tokens.sequences()));
  size_t sequence = 0;
  for (const int32_t row : rows.span<int32_t>()) {
    while (row >= tokens.offsets[sequence + 1]) ++sequence;
    ++counts[sequence];
  }
  return counts;
}

MaskedBatch MaskedBatch::part(int64_t first, int64_t last) const {
  const auto all = rows.span<int32_t>();
  const auto begin = std::ranges::lower_bound(all, tokens.offsets[first]);
  const auto end = std::ranges::lower_bound(all, tokens.offsets[last]);
  std::vector<int32_t> some(begin, end);
  for (int32_t& row : some) row -= static_cast<int32_t>(tokens.offsets[first]);
  return {.tokens = tokens.part(first, last),
          .rows = Tensor::from<int32_t>(std::span<const int32_t>(some), {std::ssize(some)}),
          .labels = labels.slice(0, begin - all.begin(), end - all.begin())};
}

MaskedCollate::MaskedCollate(const nn::Tokenizer& tokenizer, const MaskingOptions& options)
    : options_(options), mask_(tokenizer.mask_id()) {
  if (mask_ < 0) throw ValueError("pretrain: the tokenizer has no mask token");
  const int32_t special[] = {tokenizer.pad_id(), tokenizer.unk_id(), tokenizer.cls_id(), tokenizer.sep_id(), mask_};
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (std::ranges::count(special, id) == 0 && !tokenizer.token(id).empty()) ordinary_.push_back(id);
  }
  if (ordinary_.empty()) throw ValueError("pretrain: the vocabulary has no token beside the special ones");
}

MaskedBatch MaskedCollate::operator()(std::vector<MaskedExample> examples, const nn::BatchNumber& number) const {
  Generator rng = nn::generator_for(options_.seed, number);
  std::vector<int32_t> rows, labels;
  std::vector<std::span<const int32_t>> sequences;
  int32_t first = 0;
  for (MaskedExample& example : examples) {
    const std::vector<size_t> places = chosen(example, options_, rng);
    const std::vector<float> drawn = uniform_numbers(2 * std::ssize(places), rng);
    for (size_t i = 0; i < places.size(); ++i) {
      int32_t& id = example.ids[places[i]];
      rows.push_back(first + static_cast<int32_t>(places[i]));
      labels.push_back(id);
      if (drawn[2 * i] < kMaskShare) {
        id = mask_;
      } else if (drawn[2 * i] < kMaskShare + kRandomShare) {
        const auto place = static_cast<size_t>(drawn[2 * i + 1] * static_cast<float>(ordinary_.size()));
        id = ordinary_[std::min(place, ordinary_.size() - 1)];
      }
    }
    first += static_cast<int32_t>(example.ids.size());
    sequences.emplace_back(example.ids);
  }
  const auto tensor_of = [](const std::vector<int32_t>& values) {
    return Tensor::from<int32_t>(std::span<const int32_t>(values), {std::ssize(values)});
  };
  return {.tokens = nn::RaggedBatch::of(sequences), .rows = tensor_of(rows), .labels = tensor_of(labels)};
}

}  // namespace qing::optim
