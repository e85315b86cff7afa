#include <qing/nn/models/translation_decoder.h>

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include <qing/nn/layers/linear.h>
#include <qing/nn/models/decoding_scores.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

#include "nn/naive_search.h"
#include "nn/small_translation.h"

namespace qing::nn {
namespace {

using test::naive_beam;
using test::naive_greedy;
using test::random_sentences;
using test::random_translation_model;

using Ids = std::vector<int32_t>;

std::vector<DecodingRequest> requests_of(const std::vector<Ids>& sources, const DecodingOptions& options) {
  std::vector<DecodingRequest> all;
  for (const Ids& source : sources) all.push_back({source, options});
  return all;
}

void expect_close(const DecodedSequence& a, const DecodedSequence& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_NEAR(a.score, b.score, 1e-4 * std::abs(b.score) + 1e-6);
  EXPECT_EQ(a.ended, b.ended);
}

void expect_identical(const DecodingResult& a, const DecodingResult& b) {
  ASSERT_EQ(a.sequences.size(), b.sequences.size());
  for (size_t i = 0; i < a.sequences.size(); ++i) {
    EXPECT_EQ(a.sequences[i].tokens, b.sequences[i].tokens);
    EXPECT_EQ(a.sequences[i].score, b.sequences[i].score);
    ASSERT_EQ(a.sequences[i].alignment.defined(), b.sequences[i].alignment.defined());
    if (a.sequences[i].alignment.defined()) {
      EXPECT_TRUE(identical(a.sequences[i].alignment, b.sequences[i].alignment));
    }
  }
}

class TranslationDecoderOf : public ::testing::TestWithParam<std::pair<std::string, TranslationConfig>> {
 protected:
  ~TranslationDecoderOf() override { set_num_threads(before_); }
  TranslationModel model_ = random_translation_model(GetParam().second);
  int before_ = num_threads();
};

TEST_P(TranslationDecoderOf, GreedyIsTheLikeliestTokenEachTime) {
  const DecodingOptions options{.max_tokens = 20};
  const auto sources = random_sentences({7, 1, 12, 3}, 23);
  const auto results = decode(model_, requests_of(sources, options));
  for (size_t s = 0; s < sources.size(); ++s) {
    ASSERT_EQ(results[s].sequences.size(), 1U);
    expect_close(results[s].sequences[0], naive_greedy(model_, sources[s], options));
  }
}

TEST_P(TranslationDecoderOf, BeamsAreThoseOfTheSearchFromTheBeginning) {
  for (const EarlyStopping stopping : {EarlyStopping::no, EarlyStopping::yes, EarlyStopping::never}) {
    for (const double penalty : {1.0, 0.0, 2.0}) {
      const DecodingOptions options{
          .beam_size = 4, .max_tokens = 12, .length_penalty = penalty, .early_stopping = stopping, .best = 3};
      const auto sources = random_sentences({7, 2, 12}, 23);
      const auto results = decode(model_, requests_of(sources, options));
      for (size_t s = 0; s < sources.size(); ++s) {
        const auto expected = naive_beam(model_, sources[s], options);
        ASSERT_EQ(results[s].sequences.size(), 3U);
        for (size_t i = 0; i < 3; ++i) expect_close(results[s].sequences[i], expected[i]);
      }
    }
  }
}

TEST_P(TranslationDecoderOf, ARequestDoesNotDependOnOthersOrThreads) {
  std::vector<DecodingRequest> requests;
  // So many hypotheses that two threads compute requests of their own.
  const auto sources = random_sentences({7, 1, 40, 3, 25, 9, 2, 16, 11, 5, 13, 6, 8, 4, 30, 10, 12, 3}, 23);
  for (size_t s = 0; s < sources.size(); ++s) {
    DecodingOptions options{.beam_size = s % 2 == 0 ? 4 : 1, .max_tokens = 25, .alignment = s % 3 == 0};
    if (s == 1 || s == 5) options.temperature = 1, options.seed = s;
    requests.push_back({sources[s], options});
  }
  set_num_threads(1);
  std::vector<DecodingResult> alone;
  for (const DecodingRequest& request : requests) alone.push_back(decode(model_, {&request, 1})[0]);
  for (const int threads : {1, 2, 4}) {
    set_num_threads(threads);
    for (const int64_t rows : {0, 8}) {
      const auto together = decode(model_, requests, rows);
      for (size_t s = 0; s < requests.size(); ++s) expect_identical(together[s], alone[s]);
    }
  }
  // Requests that join later, and neighbours that leave.
  TranslationDecoder decoder(model_);
  const int64_t left = decoder.add(requests[2]), stays = decoder.add(requests[4]);
  for (int i = 0; i < 3; ++i) decoder.step();
  EXPECT_TRUE(decoder.cancel(left));
  EXPECT_FALSE(decoder.cancel(left));
  const int64_t late = decoder.add(requests[6]);
  std::vector<DecodingResult> found;
  while (decoder.requests() > 0) {
    decoder.step();
    for (DecodingResult& each : decoder.finished()) found.push_back(std::move(each));
  }
  ASSERT_EQ(found.size(), 2U);
  for (const DecodingResult& each : found) {
    ASSERT_TRUE(each.id == stays || each.id == late);
    expect_identical(each, alone[each.id == stays ? 4 : 6]);
  }
  EXPECT_EQ(decoder.bytes(), 0U);
}

INSTANTIATE_TEST_SUITE_P(All, TranslationDecoderOf, ::testing::ValuesIn(test::small_translation_configs()),
                         [](const auto& info) {
                           std::string name = info.param.first;
                           std::erase(name, ' ');
                           return name;
                         });

class TranslationDecoding : public ::testing::Test {
 protected:
  DecodedSequence first(const DecodingOptions& options) {
    const DecodingRequest request{source_, options};
    DecodingResult result = decode(model_, {&request, 1})[0];
    EXPECT_EQ(result.error, "");
    return result.sequences.empty() ? DecodedSequence{} : result.sequences[0];
  }
  TranslationModel model_ = random_translation_model(test::small_translation_config(), 2);
  Ids source_ = random_sentences({8}, 23, 4)[0];
};

TEST_F(TranslationDecoding, PackedWeightsGiveTheSameBits) {
  const DecodingOptions options{.beam_size = 4, .max_tokens = 20};
  const DecodedSequence plain = first(options);
  pack_linear_layers(model_);
  const DecodedSequence packed = first(options);
  EXPECT_EQ(packed.tokens, plain.tokens);
  EXPECT_EQ(packed.score, plain.score);
}

TEST_F(TranslationDecoding, RulesHold) {
  for (const int64_t beams : {1, 3}) {
    const DecodingOptions plain{.beam_size = beams, .max_tokens = 20};
    DecodingOptions options = plain;
    options.min_tokens = 15;
    options.no_repeat_ngram_size = 2;
    options.suppressed = {5, 6, 7};
    options.forced_bos = 9;
    options.forced_eos = 3;
    const Ids tokens = first(options).tokens;
    ASSERT_GT(tokens.size(), 15U);
    EXPECT_EQ(tokens.front(), 9);
    EXPECT_EQ(tokens.back(), 3);
    std::set<std::pair<int32_t, int32_t>> pairs;
    int32_t before = 2;
    for (size_t i = 0; i < tokens.size(); ++i) {
      EXPECT_TRUE(tokens[i] < 5 || tokens[i] > 7);
      if (i + 1 < tokens.size()) { EXPECT_TRUE(pairs.emplace(before, tokens[i]).second) << i; }
      before = tokens[i];
    }
  }
}

TEST_F(TranslationDecoding, SamplingIsAFunctionOfTheSeed) {
  DecodingOptions options{.max_tokens = 30, .temperature = 2, .top_k = 10};
  const Ids tokens = first(options).tokens;
  EXPECT_EQ(first(options).tokens, tokens);
  options.seed = 1;
  EXPECT_NE(first(options).tokens, tokens);
  options.top_k = 1;
  EXPECT_EQ(first(options).tokens, first({.max_tokens = 30}).tokens);
}

TEST_F(TranslationDecoding, AlignmentsAreWeightsOfTheSource) {
  for (const int64_t beams : {1, 4}) {
    const DecodedSequence done = first({.beam_size = beams, .max_tokens = 20, .alignment = true});
    ASSERT_EQ(done.alignment.shape(), (Shape{std::ssize(done.tokens), std::ssize(source_)}));
    const Tensor sums = sum(done.alignment, {1});
    EXPECT_TRUE(allclose(sums, Tensor::full(sums.shape(), 1), 1e-5, 1e-5));
  }
}

TEST_F(TranslationDecoding, BrokenWeightsAreAnErrorOfTheRequest) {
  for (auto& [name, parameter] : model_.named_parameters()) {
    if (name == "output.weight") parameter.fill(std::numeric_limits<float>::quiet_NaN());
  }
  for (const int64_t beams : {1, 3}) {
    const DecodingRequest request{source_, {.beam_size = beams}};
    const DecodingResult result = decode(model_, {&request, 1})[0];
    EXPECT_TRUE(result.sequences.empty());
    EXPECT_NE(result.error.find("NaN"), std::string::npos);
  }
}

TEST_F(TranslationDecoding, RefusesWhatDoesNotFit) {
  TranslationDecoder decoder(model_);
  const auto add = [&](Ids source, DecodingOptions options) { decoder.add({std::move(source), std::move(options)}); };
  EXPECT_THROW(add({}, {}), ValueError);
  EXPECT_THROW(add(Ids(41, 5), {}), ValueError);
  EXPECT_THROW(add({23}, {}), IndexError);
  EXPECT_THROW(add({-1}, {}), IndexError);
  EXPECT_THROW(add({5}, {.suppressed = {23}}), IndexError);
  EXPECT_THROW(add({5}, {.forced_bos = 23}), IndexError);
  EXPECT_THROW(add({5}, {.beam_size = 0}), ValueError);
  EXPECT_THROW(add({5}, {.beam_size = 2, .best = 3}), ValueError);
  EXPECT_THROW(add({5}, {.beam_size = 2, .temperature = 1}), ValueError);
  EXPECT_THROW(add({5}, {.max_tokens = 0}), ValueError);
  EXPECT_THROW(add({5}, {.repetition_penalty = 0}), ValueError);
  EXPECT_THROW(add({5}, {.length_penalty = std::nan("")}), ValueError);
  EXPECT_EQ(decoder.requests(), 0);
  decoder.step();
  EXPECT_TRUE(decoder.finished().empty());
}

TEST_F(TranslationDecoding, ProgressIsTheLikeliestHypothesisSoFar) {
  TranslationDecoder decoder(model_);
  const int64_t id = decoder.add({source_, {.max_tokens = 10, .min_tokens = 9}});
  Ids before;
  for (int i = 0; i < 9; ++i) {
    decoder.step();
    const Ids now = decoder.progress(id);
    ASSERT_EQ(now.size(), before.size() + 1);
    EXPECT_TRUE(std::equal(before.begin(), before.end(), now.begin()));
    before = now;
    EXPECT_GT(decoder.bytes(), 0U);
    EXPECT_EQ(decoder.hypotheses(), 1);
  }
  EXPECT_TRUE(decoder.progress(id + 1).empty());
}

TEST(DecodingScores, LargestElementsAreTheFirstOfEqualOnes) {
  std::vector<float> row(300, -1);
  row[200] = row[7] = row[150] = 4;
  row[299] = 5;
  row[0] = -std::numeric_limits<float>::infinity();
  std::vector<ScoredToken> best;
  largest_elements(row, 3, best);
  ASSERT_EQ(best.size(), 3U);
  EXPECT_EQ(best[0].token, 299);
  EXPECT_EQ(best[1].token, 7);
  EXPECT_EQ(best[2].token, 150);
  largest_elements(std::span(row).first(3), 8, best);
  ASSERT_EQ(best.size(), 2U) << "what is excluded is left out";
}

TEST(DecodingScores, LogSumExpIsThatOfDoubles) {
  Generator rng(1);
  std::vector<float> row;
  double sum = 0;
  for (int i = 0; i < 5000; ++i) {
    row.push_back(static_cast<float>(rng.below(1000)) / 50 - 10);
    sum += std::exp(static_cast<double>(row.back()));
  }
  EXPECT_NEAR(log_sum_exp(row), std::log(sum), 1e-6);
  row[17] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(log_sum_exp(row)));
  EXPECT_FALSE(std::isfinite(log_sum_exp(std::vector<float>{-std::numeric_limits<float>::infinity()})));
}

}  // namespace
}  // namespace qing::nn
