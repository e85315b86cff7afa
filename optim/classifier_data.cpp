#include <qing/optim/classifier_data.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

constexpr int64_t kEncodeGrain = 256;

// As good as minus infinity, but finite.
constexpr float kNever = -1e4F;

bool is_extra(const TrainOptions& o, int32_t group) {
  return std::find(o.extra_groups.begin(), o.extra_groups.end(), group) != o.extra_groups.end();
}

// What is added to the logits of each group's examples: balance·log(share of the label among them); a label that an
// extra group lacks is none to choose.
std::vector<std::vector<float>> adjustments_of(std::span<const nn::Example> examples, const TrainOptions& o) {
  std::vector<std::vector<int64_t>> counts;
  for (const nn::Example& example : examples) {
    const auto group = static_cast<size_t>(example.group);
    if (counts.size() <= group) counts.resize(group + 1, std::vector<int64_t>(o.labels.size()));
    ++counts[group][static_cast<size_t>(example.label)];
  }
  std::vector<std::vector<float>> result(counts.size());
  for (size_t group = 0; group < counts.size(); ++group) {
    const bool extra = is_extra(o, static_cast<int32_t>(group));
    const auto total = std::accumulate(counts[group].begin(), counts[group].end(), int64_t{0});
    for (const int64_t count : counts[group]) {
      // As if every label had been seen once more.
      const double share = static_cast<double>(count + 1) / static_cast<double>(total + std::ssize(counts[group]));
      result[group].push_back(extra && count == 0 ? kNever : static_cast<float>(o.balance * std::log(share)));
    }
  }
  return result;
}

// Numbers of [0, 1), one for each of `count` things that may be dropped.
Tensor draws(int64_t count, Generator& rng) {
  Tensor result = Tensor::empty({count}, DType::f32);
  rng.fill_uniform(result, 0, 1);
  return result;
}

}  // namespace

ClassifierData::ClassifierData(std::span<const nn::Example> examples, const TrainOptions& options,
                               const nn::Tokenizer& tokenizer, const nn::NgramTable* ngrams)
    : examples_(examples),
      options_(options),
      mask_id_(tokenizer.mask_id()),
      has_ngrams_(ngrams != nullptr),
      encoded_(examples.size()),
      adjustments_(adjustments_of(examples, options)),
      adjusts_(options.balance > 0 || !options.extra_groups.empty()) {
  parallel_for(static_cast<int64_t>(examples.size()), kEncodeGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      encoded_[i].ids = tokenizer.encode(examples[i].text).ids;
      if (ngrams) encoded_[i].ngrams = ngrams->features(examples[i].text);
    }
  });
  for (size_t i = 0; i < examples.size(); ++i) (is_extra(options, examples[i].group) ? extra_ : main_).push_back(i);
  extra_taken_ = static_cast<size_t>(options.extra_share * static_cast<double>(extra_.size()));
}

std::vector<size_t> ClassifierData::epoch_order(Generator& rng) const {
  const auto shuffle = [&rng](std::vector<size_t>& order) {  // Fisher-Yates
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  };
  std::vector<size_t> order = main_;
  if (extra_taken_ > 0) {
    std::vector<size_t> extra = extra_;
    shuffle(extra);
    order.insert(order.end(), extra.begin(), extra.begin() + static_cast<std::ptrdiff_t>(extra_taken_));
  }
  shuffle(order);
  return order;
}

// A text's first and last token, which are special, stay.
void ClassifierData::drop_words(std::vector<std::vector<int32_t>>& sequences, Generator& rng) const {
  int64_t tokens = 0;
  for (const auto& ids : sequences) tokens += static_cast<int64_t>(ids.size());
  const Tensor drawn = draws(tokens, rng);
  const float* draw = drawn.data<float>();
  for (auto& ids : sequences) {
    for (size_t i = 1; i + 1 < ids.size(); ++i) {
      if (draw[i] < options_.word_dropout) ids[i] = mask_id_;
    }
    draw += ids.size();
  }
}

// What is left makes up for the rest, as far as its norm is concerned.
void ClassifierData::drop_ngrams(std::vector<nn::NgramFeatures>& texts, Generator& rng) const {
  int64_t count = 0;
  for (const auto& text : texts) count += static_cast<int64_t>(text.rows.size());
  const Tensor drawn = draws(count, rng);
  const float* draw = drawn.data<float>();
  const auto scale = static_cast<float>(1 / std::sqrt(1 - options_.ngram_dropout));
  for (auto& text : texts) {
    const size_t all = text.rows.size();
    size_t kept = 0;
    for (size_t i = 0; i < all; ++i) {
      if (draw[i] < options_.ngram_dropout) continue;
      text.rows[kept] = text.rows[i];
      text.values[kept] = text.values[i] * scale;
      ++kept;
    }
    draw += all;
    text.rows.resize(kept);
    text.values.resize(kept);
  }
}

Tensor ClassifierData::adjustments(std::span<const size_t> rows) const {
  std::vector<float> values;
  for (const size_t row : rows) {
    const std::vector<float>& group = adjustments_[static_cast<size_t>(examples_[row].group)];
    values.insert(values.end(), group.begin(), group.end());
  }
  return Tensor::from<float>(std::span<const float>(values),
                             {static_cast<int64_t>(rows.size()), static_cast<int64_t>(options_.labels.size())});
}

ClassifierBatch ClassifierData::batch(std::span<const size_t> rows, Generator& rng) const {
  ClassifierBatch batch;
  std::vector<std::vector<int32_t>> sequences;
  std::vector<int32_t> labels;
  for (const size_t row : rows) {
    sequences.push_back(encoded_[row].ids);
    labels.push_back(examples_[row].label);
    if (has_ngrams_) batch.ngrams.push_back(encoded_[row].ngrams);
  }
  if (options_.word_dropout > 0) drop_words(sequences, rng);
  if (has_ngrams_ && options_.ngram_dropout > 0) drop_ngrams(batch.ngrams, rng);
  batch.tokens = nn::RaggedBatch::of(std::vector<std::span<const int32_t>>(sequences.begin(), sequences.end()));
  batch.labels = Tensor::from<int32_t>(std::span<const int32_t>(labels), {batch.tokens.sequences()});
  if (adjusts_) batch.adjustments = adjustments(rows);
  return batch;
}

}  // namespace qing::optim
