#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include <qing/nn/translation_metrics.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

// tests/python/test_translation_metrics.py compares with sacrebleu.
namespace qing::nn {
namespace {

using Words = std::vector<std::string>;

TEST(TranslationMetrics, WordsAreThoseOfEachTokenizer) {
  EXPECT_EQ(bleu_words("He said: \"3.5, not x.\"&quot;", BleuTokenizer::v13a),
            (Words{"He", "said", ":", "\"", "3.5", ",", "not", "x", ".", "\"", "\""}));
  EXPECT_EQ(bleu_words("打开USB设备。 it\u2019s", BleuTokenizer::zh),
            (Words{"打", "开", "USB", "设", "备", "。", "it", "\u2019", "s"}));
  EXPECT_EQ(bleu_words("a b\u3000好", BleuTokenizer::character), (Words{"a", "b", "好"}));
  EXPECT_EQ(bleu_words(" a\u00a0b. ", BleuTokenizer::none), (Words{"a", "b."}));
}

TEST(TranslationMetrics, ScoresOfSmallTextsAreThoseByHand) {
  const Words reference = {"the cat sat on the mat"};
  const BleuCounts counts = bleu_counts("the cat sat on mat", reference, BleuTokenizer::v13a);
  EXPECT_EQ(counts.matches, (std::array<int64_t, 4>{5, 3, 2, 1}));
  EXPECT_EQ(counts.ngrams, (std::array<int64_t, 4>{5, 4, 3, 2}));
  const double expected = 100 * std::exp(1 - 6.0 / 5) * std::pow(1.0 * 3 / 4 * 2 / 3 * 1 / 2, 0.25);
  EXPECT_NEAR(bleu(counts).score, expected, 1e-12);
  EXPECT_EQ(bleu(bleu_counts("", reference, BleuTokenizer::v13a)).score, 0);
  // chrF of "ab" for "abc": precisions 1, 1; recalls 2/3, 1/2; the reference's order 3 does not count.
  const double recall = (2.0 / 3 + 1.0 / 2) / 2;
  EXPECT_NEAR(chrf(chrf_counts("ab", Words{"abc"})), 100 * 5 * recall / (4 + recall), 1e-12);
}

TEST(TranslationMetrics, BadArgumentsAreNamed) {
  EXPECT_THROW(bleu_counts("a", {}, BleuTokenizer::zh), ValueError);
  EXPECT_THROW(chrf_counts("a", {}), ValueError);
  EXPECT_THROW(chrf_counts("a", Words{"a"}, {.char_order = 0}), ValueError);
  EXPECT_THROW(bleu_words("\xff", BleuTokenizer::v13a), DataError);
  ChrfCounts counts = chrf_counts("a", Words{"a"});
  EXPECT_THROW(counts += chrf_counts("a", Words{"a"}, {.word_order = 2}), ValueError);
  EXPECT_THROW(bootstrap_segments(
                   3, [](auto) { return 0.0; }, 0),
               ValueError);
}

TEST(TranslationMetrics, TheBootstrapHoldsTheScoreAndDoesNotDependOnThreads) {
  std::vector<BleuCounts> counts;
  for (int i = 0; i < 40; ++i) {
    const Words reference = {"one two three four five six seven"};
    counts.push_back(bleu_counts(i % 3 == 0 ? reference[0] : "one two three four six", reference, BleuTokenizer::v13a));
  }
  const auto score = [&](std::span<const int64_t> segments) {
    BleuCounts sum;
    for (const int64_t segment : segments) sum += counts[static_cast<size_t>(segment)];
    return bleu(sum).score;
  };
  BleuCounts all;
  for (const BleuCounts& one : counts) all += one;
  const Interval interval = bootstrap_segments(counts.size(), score);
  EXPECT_LT(interval.low, bleu(all).score);
  EXPECT_GT(interval.high, bleu(all).score);
  const int threads = num_threads();
  set_num_threads(threads == 1 ? 3 : 1);
  const Interval again = bootstrap_segments(counts.size(), score);
  set_num_threads(threads);
  EXPECT_EQ(interval.low, again.low);
  EXPECT_EQ(interval.high, again.high);
}

}  // namespace
}  // namespace qing::nn
