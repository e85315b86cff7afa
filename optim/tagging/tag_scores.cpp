#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include <qing/optim/tagging/train_tagger.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

double share_of(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

double EntityCounts::precision() const { return share_of(right, predicted); }
double EntityCounts::recall() const { return share_of(right, expected); }
double EntityCounts::f1() const {
  const double p = precision(), r = recall();
  return p + r == 0 ? 0 : 2 * p * r / (p + r);
}

double TagScores::accuracy() const { return share_of(right_words, words); }

TagScores score_tags(std::span<const std::vector<std::string>> expected,
                     std::span<const std::vector<std::string>> predicted) {
  if (expected.size() != predicted.size()) {
    throw ValueError(
        fmt::format("score_tags: {} expected sentences and {} predicted ones", expected.size(), predicted.size()));
  }
  TagScores scores;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].size() != predicted[i].size()) {
      throw ValueError(fmt::format("score_tags: sentence {} has {} expected tags and {} predicted ones", i,
                                   expected[i].size(), predicted[i].size()));
    }
    for (size_t word = 0; word < expected[i].size(); ++word) {
      ++scores.words;
      scores.right_words += expected[i][word] == predicted[i][word] ? 1 : 0;
    }
    const std::vector<nn::TagSpan> there = nn::spans_of_tags(expected[i]), found = nn::spans_of_tags(predicted[i]);
    const std::set<nn::TagSpan> known(there.begin(), there.end());
    for (const nn::TagSpan& span : there) ++scores.types[span.type].expected;
    for (const nn::TagSpan& span : found) {
      EntityCounts& counts = scores.types[span.type];
      ++counts.predicted;
      counts.right += known.contains(span) ? 1 : 0;
    }
  }
  for (const auto& [type, counts] : scores.types) {
    scores.all.right += counts.right;
    scores.all.predicted += counts.predicted;
    scores.all.expected += counts.expected;
  }
  return scores;
}

TagScores evaluate_tagger(const nn::Tagger& model, std::span<const nn::TaggedSentence> sentences) {
  std::vector<std::vector<std::string>> words, expected;
  for (const nn::TaggedSentence& sentence : sentences) {
    words.push_back(sentence.words);
    std::vector<std::string> tags;
    for (const std::string& tag : sentence.tags) tags.push_back(nn::normal_tag(tag));
    // As the model writes them, so that a word's tag can be right whatever scheme the file has.
    expected.push_back(nn::tags_of_spans(nn::spans_of_tags(tags), tags.size(), model.scheme().bioes()));
  }
  return score_tags(expected, model.tag_words(words));
}

}  // namespace qing::optim
