#include <qing/nn/translation_metrics.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <unordered_map>
#include <utility>

#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

// What str.split() of Python divides at.
bool is_python_space(char32_t c) {
  return (c >= 0x9 && c <= 0xd) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// The ranges of sacrebleu's tokenizer "zh". It writes two of them with five hexadecimal digits behind \u, of which
// Python reads four: U+20000 to U+2A6D6 became U+2001 to U+2A6D, and U+2F800 to U+2FA1D became U+2F81 to U+2FA1.
constexpr std::pair<char32_t, char32_t> kChineseRanges[] = {
    {0x3400, 0x4db5}, {0x4e00, 0x9fa5}, {0x9fa6, 0x9fbb}, {0xf900, 0xfa2d}, {0xfa30, 0xfa6a}, {0xfa70, 0xfad9},
    {0x2001, 0x2a6d}, {0x2f81, 0x2fa1}, {0xff00, 0xffef}, {0x2e80, 0x2eff}, {0x3000, 0x303f}, {0x31c0, 0x31ef},
    {0x2f00, 0x2fdf}, {0x2ff0, 0x2fff}, {0x3100, 0x312f}, {0x31a0, 0x31bf}, {0xfe10, 0xfe1f}, {0xfe30, 0xfe4f},
    {0x2600, 0x26ff}, {0x2700, 0x27bf}, {0x3200, 0x32ff}, {0x3300, 0x33ff}};

bool is_chinese_word(char32_t c) {
  return std::ranges::any_of(kChineseRanges, [c](const auto& range) { return c >= range.first && c <= range.second; });
}

// Calls f(character, bytes) for each character.
template <class F> void for_each_character(std::string_view text, const F& f) {
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const auto c = decode_utf8(text, at);
    if (!c) throw DataError(fmt::format("translation metrics: byte {} of a text is not UTF-8", begin));
    f(*c, text.substr(begin, at - begin));
  }
}

std::vector<std::string> split_at_spaces(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for_each_character(text, [&](char32_t c, std::string_view bytes) {
    const bool space = is_python_space(c);
    if (!space && !inside) words.emplace_back();
    if (!space) words.back() += bytes;
    inside = !space;
  });
  return words;
}

std::string_view without_spaces_behind(std::string_view text) {
  size_t end = 0, at = 0;
  for_each_character(text, [&](char32_t c, std::string_view bytes) {
    at += bytes.size();
    if (!is_python_space(c)) end = at;
  });
  return text.substr(0, end);
}

std::string_view without_spaces_around(std::string_view text) {
  text = without_spaces_behind(text);
  size_t begin = 0;
  while (begin < text.size()) {
    size_t next = begin;
    if (!is_python_space(decode_utf8(text, next).value_or(U'x'))) break;
    begin = next;
  }
  return text.substr(begin);
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

bool is_number_digit(char c) { return c >= '0' && c <= '9'; }
bool is_point(char c) { return c == '.' || c == ','; }
bool is_13a_mark(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
         (c >= ':' && c <= '@') || c == '/';
}

// The four substitutions of mteval-v13a.pl, one after the other. Each looks at bytes, since a byte of a longer
// character is neither a digit nor a mark, and a match never begins inside the one before.
std::string with_marks_apart(const std::string& text) {
  std::string marks;
  for (const char c : text) {
    if (is_13a_mark(c)) {
      marks += ' ';
      marks += c;
      marks += ' ';
    } else {
      marks += c;
    }
  }
  // Two neighbours that match are replaced by what `put` appends.
  const auto pairs = [](const std::string& from, const auto& match, const auto& put) {
    std::string to;
    size_t i = 0;
    while (i < from.size()) {
      if (i + 1 < from.size() && match(from[i], from[i + 1])) {
        put(to, from[i], from[i + 1]);
        i += 2;
      } else {
        to += from[i++];
      }
    }
    return to;
  };
  const auto second_apart = [](std::string& to, char a, char b) { (((to += a) += ' ') += b) += ' '; };
  const auto first_apart = [](std::string& to, char a, char b) { (((to += ' ') += a) += ' ') += b; };
  std::string result = pairs(
      marks, [](char a, char b) { return !is_number_digit(a) && is_point(b); }, second_apart);
  result = pairs(
      result, [](char a, char b) { return is_point(a) && !is_number_digit(b); }, first_apart);
  return pairs(
      result, [](char a, char b) { return is_number_digit(a) && b == '-'; }, second_apart);
}

std::string in_13a_form(std::string text) {
  text = replaced(std::move(text), "<skipped>", "");
  text = replaced(std::move(text), "-\n", "");
  text = replaced(std::move(text), "\n", " ");
  for (const auto& [entity, character] : {std::pair("&quot;", "\""), {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}}) {
    text = replaced(std::move(text), entity, character);
  }
  return with_marks_apart(" " + text + " ");
}

std::string in_zh_form(std::string_view text) {
  std::string apart;
  for_each_character(without_spaces_around(text), [&](char32_t c, std::string_view bytes) {
    if (is_chinese_word(c)) {
      apart.append(" ").append(bytes).append(" ");
    } else {
      apart += bytes;
    }
  });
  return with_marks_apart(apart);
}

using Counts = std::unordered_map<std::string, int64_t>;

// The n-grams of one order. '\n' is between words, which no word has.
Counts counted(std::span<const std::string> words, size_t order) {
  Counts counts;
  for (size_t first = 0; first + order <= words.size(); ++first) {
    std::string ngram;
    for (size_t i = first; i < first + order; ++i) (ngram += words[i]) += '\n';
    ++counts[ngram];
  }
  return counts;
}

int64_t total(const Counts& counts) {
  int64_t sum = 0;
  for (const auto& [ngram, count] : counts) sum += count;
  return sum;
}

int64_t common(const Counts& counts, const Counts& others) {
  int64_t sum = 0;
  for (const auto& [ngram, count] : counts) {
    const auto found = others.find(ngram);
    if (found != others.end()) sum += std::min(count, found->second);
  }
  return sum;
}

void check_references(const char* who, std::span<const std::string> references) {
  if (references.empty()) throw ValueError(fmt::format("{}: there is no reference; give at least one", who));
}

std::vector<std::string> visible_characters(std::string_view text) {
  std::vector<std::string> characters;
  for_each_character(text, [&](char32_t c, std::string_view bytes) {
    if (!is_python_space(c)) characters.emplace_back(bytes);
  });
  return characters;
}

bool is_ascii_mark(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

// Words for chrF++, with one mark at their end, or else at their beginning, apart. As in chrF++.py a word with a mark
// at both ends keeps the first.
std::vector<std::string> chrf_words(std::string_view text) {
  std::vector<std::string> words;
  for (std::string& word : split_at_spaces(text)) {
    const bool alone = count_characters(word) == 1, at_end = is_ascii_mark(word.back());
    if (alone || (!at_end && !is_ascii_mark(word.front()))) {
      words.push_back(std::move(word));
      continue;
    }
    const size_t cut = at_end ? word.size() - 1 : 1;
    words.push_back(word.substr(0, cut));
    words.push_back(word.substr(cut));
  }
  return words;
}

std::vector<Counts> chrf_ngrams(std::string_view text, const ChrfOptions& options) {
  std::vector<Counts> orders;
  const std::vector<std::string> characters = visible_characters(text);
  for (int n = 1; n <= options.char_order; ++n) orders.push_back(counted(characters, static_cast<size_t>(n)));
  if (options.word_order > 0) {
    const std::vector<std::string> words = chrf_words(text);
    for (int n = 1; n <= options.word_order; ++n) orders.push_back(counted(words, static_cast<size_t>(n)));
  }
  return orders;
}

const char* tokenizer_name(BleuTokenizer tokenizer) {
  switch (tokenizer) {
    case BleuTokenizer::v13a: return "13a";
    case BleuTokenizer::zh: return "zh";
    case BleuTokenizer::character: return "char";
    default: return "none";
  }
}

constexpr const char* kSacrebleuVersion = "2.6.0";

}  // namespace

std::vector<std::string> bleu_words(std::string_view text, BleuTokenizer tokenizer) {
  const std::string_view line = without_spaces_behind(text);
  switch (tokenizer) {
    case BleuTokenizer::v13a: return split_at_spaces(in_13a_form(std::string(line)));
    case BleuTokenizer::zh: return split_at_spaces(in_zh_form(line));
    case BleuTokenizer::character: return visible_characters(line);
    default: return split_at_spaces(line);
  }
}

BleuCounts& BleuCounts::operator+=(const BleuCounts& other) {
  words += other.words;
  reference_words += other.reference_words;
  for (size_t n = 0; n < kBleuOrder; ++n) {
    matches[n] += other.matches[n];
    ngrams[n] += other.ngrams[n];
  }
  return *this;
}

BleuCounts bleu_counts(std::string_view translation, std::span<const std::string> references, BleuTokenizer tokenizer) {
  check_references("bleu_counts", references);
  const std::vector<std::string> words = bleu_words(translation, tokenizer);
  std::vector<std::vector<std::string>> others;
  for (const std::string& reference : references) others.push_back(bleu_words(reference, tokenizer));
  BleuCounts counts;
  counts.words = std::ssize(words);
  const auto is_nearer = [&](const auto& a, const auto& b) {
    const auto apart = [&](const auto& other) { return std::abs(std::ssize(other) - counts.words); };
    return apart(a) != apart(b) ? apart(a) < apart(b) : a.size() < b.size();
  };
  counts.reference_words = std::ssize(*std::ranges::min_element(others, is_nearer));
  for (size_t n = 0; n < kBleuOrder; ++n) {
    const Counts ngrams = counted(words, n + 1);
    Counts most;
    for (const auto& other : others) {
      for (const auto& [ngram, count] : counted(other, n + 1)) most[ngram] = std::max(most[ngram], count);
    }
    counts.ngrams[n] = total(ngrams);
    counts.matches[n] = common(ngrams, most);
  }
  return counts;
}

BleuScore bleu(const BleuCounts& counts, BleuOptions options) {
  BleuScore result;
  if (counts.words < counts.reference_words) {
    const double ratio = static_cast<double>(counts.reference_words) / static_cast<double>(counts.words);
    result.brevity_penalty = counts.words > 0 ? std::exp(1 - ratio) : 0;
  }
  if (std::ranges::all_of(counts.matches, [](int64_t matches) { return matches == 0; })) return result;
  double smoothing = 1;
  size_t orders = kBleuOrder;
  for (size_t n = 0; n < kBleuOrder && counts.ngrams[n] > 0; ++n) {
    if (options.effective_order) orders = n + 1;
    const auto all = static_cast<double>(counts.ngrams[n]);
    if (counts.matches[n] == 0) {
      smoothing *= 2;
      result.precisions[n] = 100 / (smoothing * all);
    } else {
      result.precisions[n] = 100 * static_cast<double>(counts.matches[n]) / all;
    }
  }
  double logs = 0;
  for (size_t n = 0; n < orders; ++n) {
    if (result.precisions[n] == 0) return result;
    logs += std::log(result.precisions[n]);
  }
  result.score = result.brevity_penalty * std::exp(logs / static_cast<double>(orders));
  return result;
}

ChrfCounts& ChrfCounts::operator+=(const ChrfCounts& other) {
  if (orders.empty()) {
    orders = other.orders;
  } else if (orders.size() != other.orders.size()) {
    throw ValueError(
        fmt::format("ChrfCounts: counts of {} and of {} orders cannot be added", orders.size(), other.orders.size()));
  } else {
    for (size_t i = 0; i < orders.size(); ++i) {
      for (size_t k = 0; k < 3; ++k) orders[i][k] += other.orders[i][k];
    }
  }
  return *this;
}

ChrfCounts chrf_counts(std::string_view translation, std::span<const std::string> references, ChrfOptions options) {
  check_references("chrf_counts", references);
  if (options.char_order < 0 || options.word_order < 0 || options.char_order + options.word_order == 0) {
    throw ValueError(fmt::format("chrf_counts: char_order is {} and word_order is {}; one must be above 0, none below",
                                 options.char_order, options.word_order));
  }
  const std::vector<Counts> ngrams = chrf_ngrams(translation, options);
  ChrfCounts best;
  double best_score = -1;
  for (const std::string& reference : references) {
    const std::vector<Counts> others = chrf_ngrams(reference, options);
    ChrfCounts counts;
    for (size_t i = 0; i < ngrams.size(); ++i) {
      // Orders that the reference lacks do not count against the translation.
      counts.orders.push_back(
          {others[i].empty() ? 0 : total(ngrams[i]), total(others[i]), common(ngrams[i], others[i])});
    }
    const double score = chrf(counts, options);
    if (score > best_score) {
      best_score = score;
      best = std::move(counts);
    }
  }
  return best;
}

double chrf(const ChrfCounts& counts, ChrfOptions options) {
  double precision = 0, recall = 0;
  int orders = 0;
  for (const auto& [translated, reference, both] : counts.orders) {
    if (translated == 0 || reference == 0) continue;
    precision += static_cast<double>(both) / static_cast<double>(translated);
    recall += static_cast<double>(both) / static_cast<double>(reference);
    ++orders;
  }
  if (orders == 0 || precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  const double factor = options.beta * options.beta;
  return 100 * ((1 + factor) * precision * recall / (factor * precision + recall));
}

std::string bleu_signature(BleuTokenizer tokenizer, size_t references, BleuOptions options) {
  return fmt::format("nrefs:{}|case:mixed|eff:{}|tok:{}|smooth:exp|version:{}", references,
                     options.effective_order ? "yes" : "no", tokenizer_name(tokenizer), kSacrebleuVersion);
}

std::string chrf_signature(ChrfOptions options, size_t references) {
  return fmt::format("nrefs:{}|case:mixed|eff:yes|nc:{}|nw:{}|space:no|version:{}", references, options.char_order,
                     options.word_order, kSacrebleuVersion);
}

Interval bootstrap_segments(size_t segments, const std::function<double(std::span<const int64_t>)>& score,
                            int64_t resamples, double level, uint64_t seed) {
  if (resamples < 1 || !(level > 0 && level < 1)) {
    throw ValueError(fmt::format("bootstrap_segments: {} resamples at level {}; they must be at least 1 and in (0, 1)",
                                 resamples, level));
  }
  if (segments == 0) return {};
  const auto count = static_cast<int64_t>(segments);
  std::vector<double> values(static_cast<size_t>(resamples));
  parallel_for(resamples, 1, [&](int64_t begin, int64_t end) {
    Tensor draws = Tensor::empty({count}, DType::i64);
    for (int64_t i = begin; i < end; ++i) {
      Generator rng;
      rng.restore(seed, static_cast<uint64_t>(i));
      rng.fill_integers(draws, 0, count);
      values[static_cast<size_t>(i)] = score(draws.span<int64_t>());
    }
  });
  return middle_share(std::move(values), level);
}

}  // namespace qing::nn
