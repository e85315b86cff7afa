#include <qing/nn/text/ngrams.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include <qing/nn/fingerprint.h>
#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

constexpr size_t kWords = 3;
constexpr size_t kShortestPiece = 2, kLongestPiece = 4;
constexpr int64_t kTextGrain = 256;

struct Gram {
  uint32_t key;
  uint32_t begin, end;  // bytes of the original text
};

// The lowest bit distinguishes words from pieces. Both halves of the hash count.
uint32_t key_of(std::string_view gram, bool words) {
  const uint64_t hash = fingerprint(gram);
  return (static_cast<uint32_t>(hash ^ (hash >> 32)) & ~1u) | (words ? 1u : 0u);
}
bool is_words(uint32_t key) { return (key & 1) != 0; }

// One character outside ASCII: an ideograph, or a punctuation mark of such a text.
bool is_character_word(const Word& word) {
  return word.characters() == 1 && static_cast<unsigned char>(word.text[0]) >= 0x80;
}

void add_word_grams(const std::vector<Word>& words, size_t first, std::vector<Gram>& grams) {
  std::string gram;
  for (size_t n = 1; n <= kWords && first + n <= words.size(); ++n) {
    const Word& last = words[first + n - 1];
    if (n > 1) gram += ' ';
    gram += last.text;
    grams.push_back({key_of(gram, true), words[first].origins.front().first, last.origins.back().second});
  }
}

void add_pieces(const Word& word, std::vector<Gram>& grams) {
  const std::string marked = "<" + word.text + ">";
  const size_t characters = word.characters() + 2;
  // Offsets of the characters of the marked word, plus one entry for the end.
  const auto start = [&](size_t i) -> size_t {
    if (i == 0) return 0;
    return i == characters ? marked.size() : 1 + word.starts[i - 1];
  };
  for (size_t first = 0; first < characters; ++first) {
    for (size_t n = kShortestPiece; n <= kLongestPiece && first + n <= characters; ++n) {
      const std::string_view piece = std::string_view(marked).substr(start(first), start(first + n) - start(first));
      const size_t begin = first == 0 ? 0 : first - 1;
      const size_t end = std::min(first + n - 1, word.characters());  // the marks are not characters of the text
      grams.push_back({key_of(piece, false), word.origins[begin].first, word.origins[end - 1].second});
    }
  }
}

std::vector<Gram> grams_of(std::string_view text, const TokenizerOptions& options) {
  const std::vector<Word> words = split_words(text, options);
  std::vector<Gram> grams;
  for (size_t i = 0; i < words.size(); ++i) {
    add_word_grams(words, i, grams);
    if (!is_character_word(words[i])) add_pieces(words[i], grams);
  }
  return grams;
}

std::vector<uint32_t> distinct_keys(std::string_view text, const TokenizerOptions& options) {
  std::vector<uint32_t> keys;
  for (const Gram& gram : grams_of(text, options)) keys.push_back(gram.key);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

// Multiplicative hashing (Knuth, The Art of Computer Programming, 6.4): the keys are hashes, but sorted by value.
size_t slot_of(uint32_t key, size_t mask) { return (static_cast<uint64_t>(key) * 2654435769u >> 8) & mask; }

}  // namespace

NgramTable::NgramTable(std::vector<uint32_t> keys, std::vector<float> idf, const TokenizerOptions& options)
    : keys_(std::move(keys)), idf_(std::move(idf)), options_(options) {
  slots_.assign(std::bit_ceil(2 * keys_.size() + 1), -1);
  for (size_t row = 0; row < keys_.size(); ++row) {
    size_t slot = slot_of(keys_[row], slots_.size() - 1);
    while (slots_[slot] >= 0) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = static_cast<int32_t>(row);
  }
}

int32_t NgramTable::find(uint32_t key) const {
  for (size_t slot = slot_of(key, slots_.size() - 1);; slot = (slot + 1) & (slots_.size() - 1)) {
    const int32_t row = slots_[slot];
    if (row < 0 || keys_[static_cast<size_t>(row)] == key) return row;
  }
}

NgramTable NgramTable::build(std::span<const std::string> texts, const TokenizerOptions& options, int64_t min_texts) {
  if (min_texts < 1) throw ValueError(fmt::format("NgramTable: min_texts is {}; it must be at least 1", min_texts));
  std::vector<std::vector<uint32_t>> found(texts.size());
  parallel_for(static_cast<int64_t>(texts.size()), kTextGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) found[i] = distinct_keys(texts[i], options);
  });
  std::unordered_map<uint32_t, int64_t> counts;
  for (const auto& keys : found) {
    for (const uint32_t key : keys) ++counts[key];
  }
  std::vector<std::pair<uint32_t, int64_t>> kept;
  std::copy_if(counts.begin(), counts.end(), std::back_inserter(kept),
               [&](const auto& entry) { return entry.second >= min_texts; });
  std::sort(kept.begin(), kept.end());
  std::vector<uint32_t> keys;
  std::vector<float> idf;
  for (const auto& [key, count] : kept) {
    keys.push_back(key);
    idf.push_back(static_cast<float>(
        std::log((1.0 + static_cast<double>(texts.size())) / (1.0 + static_cast<double>(count))) + 1));
  }
  return {std::move(keys), std::move(idf), options};
}

NgramTable NgramTable::from(const StateDict& state, const TokenizerOptions& options) {
  const auto tensor = [&](const char* name, DType dtype) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.dtype() != dtype || found->second.dim() != 1) {
      throw DataError(
          fmt::format("NgramTable: there is no tensor '{}' of one dimension and type {}", name, name_of(dtype)));
    }
    return found->second.contiguous();
  };
  const Tensor keys = tensor("keys", DType::i32), idf = tensor("idf", DType::f32);
  if (keys.numel() != idf.numel()) {
    throw DataError(fmt::format("NgramTable: there are {} keys and {} idf", keys.numel(), idf.numel()));
  }
  std::vector<uint32_t> values(keys.span<int32_t>().begin(), keys.span<int32_t>().end());
  if (std::adjacent_find(values.begin(), values.end(), std::greater_equal<>()) != values.end()) {
    throw DataError("NgramTable: the keys do not ascend");
  }
  const auto idfs = idf.span<float>();
  if (!std::all_of(idfs.begin(), idfs.end(), [](float x) { return std::isfinite(x) && x > 0; })) {
    throw DataError("NgramTable: an idf is not a positive number");
  }
  return {std::move(values), {idfs.begin(), idfs.end()}, options};
}

StateDict NgramTable::state_dict() const {
  const std::vector<int32_t> keys(keys_.begin(), keys_.end());
  return {{"keys", Tensor::from<int32_t>(std::span(keys), {size()})},
          {"idf", Tensor::from<float>(std::span(idf_), {size()})}};
}

// Without values yet.
std::vector<NgramOccurrence> NgramTable::known(std::string_view text) const {
  std::vector<NgramOccurrence> result;
  for (const Gram& gram : grams_of(text, options_)) {
    if (const int32_t row = find(gram.key); row >= 0) result.push_back({row, 0, gram.begin, gram.end});
  }
  return result;
}

NgramFeatures NgramTable::features(std::string_view text) const {
  std::vector<int32_t> rows;
  for (const NgramOccurrence& occurrence : known(text)) rows.push_back(occurrence.row);
  std::sort(rows.begin(), rows.end());
  NgramFeatures features;
  // A training keeps the features of all its texts, so that spare capacity would cost it a third of its memory.
  size_t unique = 0;
  for (size_t i = 0; i < rows.size(); ++i) unique += i == 0 || rows[i] != rows[i - 1];
  features.rows.reserve(unique);
  features.values.reserve(unique);
  double squares[2] = {};  // sums of squares of pieces and of words
  for (auto begin = rows.begin(); begin != rows.end();) {
    const auto row = static_cast<size_t>(*begin);
    const auto end = std::find_if(begin + 1, rows.end(), [&](int32_t other) { return other != *begin; });
    const double value = (end - begin == 1 ? 1 : 1 + std::log(static_cast<double>(end - begin))) * idf_[row];
    features.rows.push_back(*begin);
    features.values.push_back(static_cast<float>(value));
    squares[is_words(keys_[row])] += value * value;
    begin = end;
  }
  for (size_t i = 0; i < features.rows.size(); ++i) {
    const bool words = is_words(keys_[static_cast<size_t>(features.rows[i])]);
    features.values[i] *= static_cast<float>((words ? 1 : kPiecesNorm) / std::sqrt(squares[words]));
  }
  return features;
}

std::vector<NgramOccurrence> NgramTable::occurrences(std::string_view text) const {
  std::vector<NgramOccurrence> result = known(text);
  const NgramFeatures all = features(text);
  std::unordered_map<int32_t, int64_t> times;
  for (const NgramOccurrence& occurrence : result) ++times[occurrence.row];
  for (NgramOccurrence& occurrence : result) {
    const auto at = std::lower_bound(all.rows.begin(), all.rows.end(), occurrence.row) - all.rows.begin();
    occurrence.value = all.values[static_cast<size_t>(at)] / static_cast<float>(times[occurrence.row]);
  }
  return result;
}

}  // namespace qing::nn
