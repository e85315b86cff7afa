#include <qing/optim/classifier/classifier_data.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include <qing/nn/fingerprint.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

constexpr int64_t kEncodeGrain = 256;
constexpr size_t kTeacherBatch = 256;  // texts

// The adjustment of an excluded label. It is finite, because differences of infinities are NaN.
constexpr float kNever = -1e4F;

bool is_extra(const TrainOptions& o, int32_t group) {
  return std::find(o.extra_groups.begin(), o.extra_groups.end(), group) != o.extra_groups.end();
}

// Returns the logit adjustments of each group: balance·log(share of the label among the group's examples). A label that
// an extra group lacks is excluded.
std::vector<std::vector<float>> adjustments_of(std::span<const ClassifierExample> examples, const TrainOptions& o) {
  std::vector<std::vector<int64_t>> counts;
  for (const ClassifierExample& example : examples) {
    const auto group = static_cast<size_t>(example.group);
    if (counts.size() <= group) counts.resize(group + 1, std::vector<int64_t>(o.labels.size()));
    ++counts[group][static_cast<size_t>(example.label)];
  }
  std::vector<std::vector<float>> result(counts.size());
  for (size_t group = 0; group < counts.size(); ++group) {
    const bool extra = is_extra(o, static_cast<int32_t>(group));
    const auto total = std::accumulate(counts[group].begin(), counts[group].end(), int64_t{0});
    for (const int64_t count : counts[group]) {
      // Add-one smoothing keeps the logarithm finite.
      const double share = static_cast<double>(count + 1) / static_cast<double>(total + std::ssize(counts[group]));
      result[group].push_back(extra && count == 0 ? kNever : static_cast<float>(o.balance * std::log(share)));
    }
  }
  return result;
}

// Returns `count` uniform numbers in [0, 1).
Tensor draws(int64_t count, Generator& rng) {
  Tensor result = Tensor::empty({count}, DType::f32);
  rng.fill_uniform(result, 0, 1);
  return result;
}

void ask_teachers(std::span<const nn::Example> examples, const TrainOptions& options,
                  std::vector<ClassifierExample>& encoded) {
  for (const auto& folder : options.teachers) {
    const auto teacher = nn::TextClassifier::load(folder);
    if (teacher->labels() != options.labels) {
      throw ValueError(fmt::format("train_classifier: the labels of the teacher {} are {}; they must be {}",
                                   folder.string(), fmt::join(teacher->labels(), ", "),
                                   fmt::join(options.labels, ", ")));
    }
    std::vector<std::string> texts;
    for (size_t begin = 0; begin < examples.size(); begin += kTeacherBatch) {
      const auto batch = examples.subspan(begin, std::min(kTeacherBatch, examples.size() - begin));
      texts.clear();
      for (const nn::Example& example : batch) texts.push_back(example.text);
      auto into = encoded.begin() + static_cast<std::ptrdiff_t>(begin);
      for (const nn::Prediction& said : teacher->predict(texts)) {
        std::vector<float>& taught = (into++)->taught;
        taught.resize(options.labels.size());
        for (size_t i = 0; i < taught.size(); ++i) {
          taught[i] += said.scores[i] / static_cast<float>(options.teachers.size());
        }
      }
    }
  }
}

}  // namespace

std::vector<ClassifierExample> encode_examples(std::span<const nn::Example> examples, const TrainOptions& options,
                                               const nn::Tokenizer& tokenizer, const nn::NgramTable* ngrams) {
  std::vector<ClassifierExample> encoded(examples.size());
  parallel_for(static_cast<int64_t>(examples.size()), kEncodeGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      encoded[i].ids = tokenizer.encode(examples[i].text).ids;
      if (ngrams) encoded[i].ngrams = ngrams->features(examples[i].text);
      encoded[i].label = examples[i].label;
      encoded[i].group = examples[i].group;
    }
  });
  ask_teachers(examples, options, encoded);
  return encoded;
}

ClassifierSampler::ClassifierSampler(std::span<const ClassifierExample> examples, const TrainOptions& options)
    : seed_(options.seed) {
  for (size_t i = 0; i < examples.size(); ++i) (is_extra(options, examples[i].group) ? extra_ : main_).push_back(i);
  extra_taken_ = static_cast<size_t>(options.extra_share * static_cast<double>(extra_.size()));
}

std::vector<size_t> ClassifierSampler::indices(uint64_t epoch) const {
  Generator rng = nn::generator_for(seed_, epoch, nn::RandomUse::order);
  std::vector<size_t> order = main_;
  if (extra_taken_ > 0) {
    std::vector<size_t> extra = extra_;
    nn::shuffle(extra, rng);
    order.insert(order.end(), extra.begin(), extra.begin() + static_cast<std::ptrdiff_t>(extra_taken_));
  }
  nn::shuffle(order, rng);
  return order;
}

std::string ClassifierSampler::description() const {
  return fmt::format("{} examples and {} of {} extra ones ({:016x}) in random order, seed {}", main_.size(),
                     extra_taken_, extra_.size(), nn::fingerprint(std::span<const size_t>(extra_)), seed_);
}

ClassifierCollate::ClassifierCollate(std::span<const ClassifierExample> examples, const TrainOptions& options,
                                     int32_t mask_id)
    : options_(options), mask_id_(mask_id), adjustments_(adjustments_of(examples, options)) {}

// The first and the last token of a text are special and stay.
void ClassifierCollate::drop_words(std::vector<ClassifierExample>& examples, Generator& rng) const {
  int64_t tokens = 0;
  for (const ClassifierExample& example : examples) tokens += static_cast<int64_t>(example.ids.size());
  const Tensor drawn = draws(tokens, rng);
  const float* draw = drawn.data<float>();
  for (auto& [ids, ngrams, label, group, taught] : examples) {
    for (size_t i = 1; i + 1 < ids.size(); ++i) {
      if (draw[i] < options_.word_dropout) ids[i] = mask_id_;
    }
    draw += ids.size();
  }
}

// The remaining values are scaled, so that the expected squared norm of a text's features does not change.
void ClassifierCollate::drop_ngrams(std::vector<ClassifierExample>& examples, Generator& rng) const {
  int64_t count = 0;
  for (const ClassifierExample& example : examples) count += static_cast<int64_t>(example.ngrams.rows.size());
  const Tensor drawn = draws(count, rng);
  const float* draw = drawn.data<float>();
  const auto scale = static_cast<float>(1 / std::sqrt(1 - options_.ngram_dropout));
  for (ClassifierExample& example : examples) {
    auto& [rows, values] = example.ngrams;
    const size_t all = rows.size();
    size_t kept = 0;
    for (size_t i = 0; i < all; ++i) {
      if (draw[i] < options_.ngram_dropout) continue;
      rows[kept] = rows[i];
      values[kept] = values[i] * scale;
      ++kept;
    }
    draw += all;
    rows.resize(kept);
    values.resize(kept);
  }
}

const std::vector<float>& ClassifierCollate::adjustment(const ClassifierExample& example) const {
  return adjustments_[static_cast<size_t>(example.group)];
}

Tensor ClassifierCollate::adjustments(std::span<const ClassifierExample> examples) const {
  std::vector<float> values;
  for (const ClassifierExample& example : examples) {
    const std::vector<float>& added = adjustment(example);
    values.insert(values.end(), added.begin(), added.end());
  }
  return Tensor::from<float>(std::span<const float>(values),
                             {static_cast<int64_t>(examples.size()), static_cast<int64_t>(options_.labels.size())});
}

Tensor ClassifierCollate::labels(std::span<const ClassifierExample> examples) const {
  std::vector<int32_t> labels;
  for (const ClassifierExample& example : examples) labels.push_back(example.label);
  return Tensor::from<int32_t>(std::span<const int32_t>(labels), {static_cast<int64_t>(examples.size())});
}

Tensor ClassifierCollate::shares(std::span<const ClassifierExample> examples) const {
  const size_t labels = options_.labels.size();
  std::vector<float> values;
  for (const ClassifierExample& example : examples) {
    const std::vector<float>& added = adjustment(example);
    std::vector<double> target(labels);
    target[static_cast<size_t>(example.label)] = 1;
    if (!example.taught.empty()) {
      // The teachers' scores get the same adjustment as the student's logits.
      std::vector<double> said(labels);
      for (size_t i = 0; i < labels; ++i) said[i] = example.taught[i] * std::exp(double{added[i]});
      const double sum = std::accumulate(said.begin(), said.end(), 0.0);
      for (size_t i = 0; i < labels && sum > 0; ++i) {
        target[i] += options_.teacher_share * (said[i] / sum - target[i]);
      }
    }
    const auto competing = labels - static_cast<size_t>(std::count(added.begin(), added.end(), kNever));
    for (size_t i = 0; i < labels; ++i) {
      const double even = added[i] == kNever ? 0 : 1 / static_cast<double>(competing);
      values.push_back(static_cast<float>(target[i] + options_.label_smoothing * (even - target[i])));
    }
  }
  return Tensor::from<float>(std::span<const float>(values),
                             {static_cast<int64_t>(examples.size()), static_cast<int64_t>(labels)});
}

ClassifierBatch ClassifierCollate::operator()(std::vector<ClassifierExample> examples,
                                              const nn::BatchNumber& number) const {
  Generator rng = nn::generator_for(options_.seed, number);
  if (options_.word_dropout > 0) drop_words(examples, rng);
  if (options_.ngram_dropout > 0) drop_ngrams(examples, rng);
  ClassifierBatch batch;
  std::vector<std::span<const int32_t>> sequences;
  for (ClassifierExample& example : examples) {
    sequences.emplace_back(example.ids);
    batch.ngrams.push_back(std::move(example.ngrams));
  }
  batch.tokens = nn::RaggedBatch::of(sequences);
  batch.targets = options_.teachers.empty() && options_.label_smoothing == 0 ? labels(examples) : shares(examples);
  if (options_.balance > 0 || !options_.extra_groups.empty()) batch.adjustments = adjustments(examples);
  return batch;
}

}  // namespace qing::optim
