#include <qing/optim/classifier/classifier_data.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

constexpr int64_t kEncodeGrain = 256;
constexpr size_t kTeacherBatch = 256;  // texts

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
  ask_teachers();
}

void ClassifierData::ask_teachers() {
  const size_t labels = options_.labels.size();
  for (const auto& folder : options_.teachers) {
    const auto teacher = nn::TextClassifier::load(folder);
    if (teacher->labels() != options_.labels) {
      throw ValueError(fmt::format("train_classifier: the labels of the teacher {} are {}; they must be {}",
                                   folder.string(), fmt::join(teacher->labels(), ", "),
                                   fmt::join(options_.labels, ", ")));
    }
    taught_.resize(examples_.size() * labels);
    std::vector<std::string> texts;
    for (size_t begin = 0; begin < examples_.size(); begin += kTeacherBatch) {
      const auto batch = examples_.subspan(begin, std::min(kTeacherBatch, examples_.size() - begin));
      texts.clear();
      for (const nn::Example& example : batch) texts.push_back(example.text);
      float* into = taught_.data() + begin * labels;
      for (const nn::Prediction& said : teacher->predict(texts)) {
        for (const float score : said.scores) *into++ += score / static_cast<float>(options_.teachers.size());
      }
    }
  }
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

Tensor ClassifierData::labels(std::span<const size_t> rows) const {
  std::vector<int32_t> labels;
  for (const size_t row : rows) labels.push_back(examples_[row].label);
  return Tensor::from<int32_t>(std::span<const int32_t>(labels), {static_cast<int64_t>(rows.size())});
}

Tensor ClassifierData::shares(std::span<const size_t> rows) const {
  const size_t labels = options_.labels.size();
  std::vector<float> values;
  for (const size_t row : rows) {
    const nn::Example& example = examples_[row];
    const std::vector<float>& adjustment = adjustments_[static_cast<size_t>(example.group)];
    std::vector<double> target(labels);
    target[static_cast<size_t>(example.label)] = 1;
    if (!taught_.empty()) {
      // What the teacher says is adjusted as the student's logits are.
      std::vector<double> said(labels);
      for (size_t i = 0; i < labels; ++i) said[i] = taught_[row * labels + i] * std::exp(double{adjustment[i]});
      const double sum = std::accumulate(said.begin(), said.end(), 0.0);
      for (size_t i = 0; i < labels && sum > 0; ++i) {
        target[i] += options_.teacher_share * (said[i] / sum - target[i]);
      }
    }
    const auto competing = labels - static_cast<size_t>(std::count(adjustment.begin(), adjustment.end(), kNever));
    for (size_t i = 0; i < labels; ++i) {
      const double even = adjustment[i] == kNever ? 0 : 1 / static_cast<double>(competing);
      values.push_back(static_cast<float>(target[i] + options_.label_smoothing * (even - target[i])));
    }
  }
  return Tensor::from<float>(std::span<const float>(values),
                             {static_cast<int64_t>(rows.size()), static_cast<int64_t>(labels)});
}

ClassifierBatch ClassifierData::batch(std::span<const size_t> rows, Generator& rng) const {
  ClassifierBatch batch;
  std::vector<std::vector<int32_t>> sequences;
  for (const size_t row : rows) {
    sequences.push_back(encoded_[row].ids);
    if (has_ngrams_) batch.ngrams.push_back(encoded_[row].ngrams);
  }
  if (options_.word_dropout > 0) drop_words(sequences, rng);
  if (has_ngrams_ && options_.ngram_dropout > 0) drop_ngrams(batch.ngrams, rng);
  batch.tokens = nn::RaggedBatch::of(std::vector<std::span<const int32_t>>(sequences.begin(), sequences.end()));
  batch.targets = taught_.empty() && options_.label_smoothing == 0 ? labels(rows) : shares(rows);
  if (adjusts_) batch.adjustments = adjustments(rows);
  return batch;
}

}  // namespace qing::optim
