#include <qing/optim/classifier/classifier_data.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include <qing/nn/data/unlabelled_texts.h>
#include <qing/nn/fingerprint.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

constexpr int64_t kEncodeGrain = 256;

// The adjustment of an excluded label. It is finite, because differences of infinities are NaN.
constexpr float kNever = -1e4F;

bool is_extra(const TrainOptions& o, int32_t group) { return std::ranges::count(o.extra_groups, group) > 0; }

bool is_unlabelled(const TrainOptions& o, int32_t group) { return std::ranges::count(o.unlabelled_groups, group) > 0; }

// Returns the logit adjustments of each group: balance·log(share of the label among the group's examples). A label that
// an extra group lacks is excluded. Groups without labels have none: their targets are the teachers' predictions as
// they are.
std::vector<std::vector<float>> adjustments_of(const LabelCounts& counts, const TrainOptions& o) {
  std::vector<std::vector<float>> result(counts.size());
  for (size_t group = 0; group < counts.size(); ++group) {
    if (is_unlabelled(o, static_cast<int32_t>(group))) {
      result[group].resize(o.labels.size());
      continue;
    }
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

}  // namespace

std::vector<ClassifierExample> encode_examples(std::span<const nn::Example> examples, const nn::Tokenizer& tokenizer,
                                               const nn::NgramTable* ngrams, std::vector<std::vector<float>> taught) {
  std::vector<ClassifierExample> encoded(examples.size());
  parallel_for(static_cast<int64_t>(examples.size()), kEncodeGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      encoded[i].ids = tokenizer.encode(examples[i].text).ids;
      if (ngrams) encoded[i].ngrams = ngrams->features(examples[i].text);
      encoded[i].label = examples[i].label;
      encoded[i].group = examples[i].group;
      encoded[i].labels = examples[i].labels;
      encoded[i].value = static_cast<float>(examples[i].value);
      if (!taught.empty()) encoded[i].taught = std::move(taught[i]);
    }
  });
  return encoded;
}

ClassifierSampler::ClassifierSampler(std::span<const ClassifierExample> examples, const TrainOptions& options)
    : seed_(options.seed) {
  for (size_t i = 0; i < examples.size(); ++i) {
    const int32_t group = examples[i].group;
    (is_extra(options, group) ? extra_.rows : is_unlabelled(options, group) ? unlabelled_.rows : main_).push_back(i);
  }
  const auto take = [](Part& part, double share) {
    part.taken = static_cast<size_t>(share * static_cast<double>(part.rows.size()));
  };
  take(extra_, options.extra_share);
  take(unlabelled_, options.unlabelled_share);
}

std::vector<size_t> ClassifierSampler::indices(uint64_t epoch) const {
  Generator rng = nn::generator_for(seed_, epoch, nn::RandomUse::order);
  std::vector<size_t> order = main_;
  for (const Part* part : {&extra_, &unlabelled_}) {
    if (part->taken == 0) continue;
    std::vector<size_t> rows = part->rows;
    nn::shuffle(rows, rng);
    order.insert(order.end(), rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(part->taken));
  }
  nn::shuffle(order, rng);
  return order;
}

std::string ClassifierSampler::description() const {
  const auto text_of = [](const Part& part, const char* name) {
    return fmt::format("{} of {} {} ones ({:016x})", part.taken, part.rows.size(), name,
                       nn::fingerprint(std::span<const size_t>(part.rows)));
  };
  return fmt::format("{} examples and {}{} in random order, seed {}", main_.size(), text_of(extra_, "extra"),
                     unlabelled_.rows.empty() ? "" : " and " + text_of(unlabelled_, "unlabelled"), seed_);
}

ClassifierBatch ClassifierBatch::part(int64_t first, int64_t last) const {
  const auto some = [&](const Tensor& all) { return all.defined() ? all.slice(0, first, last) : all; };
  return {.tokens = tokens.part(first, last),
          .ngrams = {ngrams.begin() + first, ngrams.begin() + last},
          .targets = some(targets),
          .softened = some(softened),
          .adjustments = some(adjustments)};
}

LabelCounts count_labels(std::span<const ClassifierExample> examples, size_t labels) {
  LabelCounts counts;
  for (const ClassifierExample& example : examples) {
    const auto group = static_cast<size_t>(example.group);
    if (counts.size() <= group) counts.resize(group + 1, std::vector<int64_t>(labels));
    if (example.label != nn::kNoLabel) ++counts[group][static_cast<size_t>(example.label)];
  }
  return counts;
}

ClassifierCollate::ClassifierCollate(const LabelCounts& counts, const TrainOptions& options, int32_t mask_id)
    : options_(options), mask_id_(mask_id), adjustments_(adjustments_of(counts, options)) {}

// The first and the last token of a text are special and stay.
void ClassifierCollate::drop_words(std::vector<ClassifierExample>& examples, Generator& rng) const {
  int64_t tokens = 0;
  for (const ClassifierExample& example : examples) tokens += static_cast<int64_t>(example.ids.size());
  const Tensor drawn = draws(tokens, rng);
  const float* draw = drawn.data<float>();
  for (ClassifierExample& example : examples) {
    std::vector<int32_t>& ids = example.ids;
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

std::vector<double> ClassifierCollate::taught(const ClassifierExample& example) const {
  const std::vector<float>& added = adjustment(example);
  std::vector<double> said(added.size());
  if (options_.teacher_temperature == 1) {
    for (size_t i = 0; i < said.size(); ++i) said[i] = example.taught[i] * std::exp(double{added[i]});
  } else {
    constexpr double kLeast = 1e-30;  // keeps the logarithm finite
    std::vector<double> logits(said.size());
    for (size_t i = 0; i < said.size(); ++i)
      logits[i] = std::log(std::max(double{example.taught[i]}, kLeast)) + added[i];
    const double top = *std::ranges::max_element(logits);
    for (size_t i = 0; i < said.size(); ++i) said[i] = std::exp((logits[i] - top) / options_.teacher_temperature);
  }
  const double sum = std::accumulate(said.begin(), said.end(), 0.0);
  if (sum == 0) return {};
  for (double& share : said) share /= sum;
  return said;
}

void ClassifierCollate::add_targets(const ClassifierExample& example, std::vector<float>& hard,
                                    std::vector<float>& soft) const {
  const size_t labels = options_.labels.size();
  const std::vector<float>& added = adjustment(example);
  const bool labelled = example.label != nn::kNoLabel;
  const std::vector<double> said = example.taught.empty() ? std::vector<double>{} : taught(example);
  const double share = said.empty() ? 0 : labelled ? options_.teacher_share : 1;
  const bool apart = options_.teacher_temperature != 1;
  std::vector<double> target(labels);
  if (labelled) target[static_cast<size_t>(example.label)] = 1;
  if (!apart && share > 0) {
    for (size_t i = 0; i < labels; ++i) target[i] += share * (said[i] - target[i]);
  }
  const double smoothing = labelled ? options_.label_smoothing : 0;
  const auto competing = labels - static_cast<size_t>(std::count(added.begin(), added.end(), kNever));
  for (size_t i = 0; i < labels; ++i) {
    const double even = added[i] == kNever ? 0 : 1 / static_cast<double>(competing);
    const double smoothed = target[i] + smoothing * (even - target[i]);
    hard.push_back(static_cast<float>(apart ? (1 - share) * smoothed : smoothed));
    if (apart) soft.push_back(static_cast<float>(share > 0 ? share * said[i] : 0));
  }
}

Tensor ClassifierCollate::targets_of_problem(std::span<const ClassifierExample> examples) const {
  const auto count = std::ssize(options_.labels);
  std::vector<float> values;
  for (const ClassifierExample& example : examples) {
    if (options_.problem() == nn::Problem::regression) {
      values.push_back(example.value);
      continue;
    }
    std::vector<float> target(options_.labels.size());
    for (const int32_t label : example.labels) target[static_cast<size_t>(label)] = 1;
    const bool labelled = !is_unlabelled(options_, example.group);
    const double share = example.taught.empty() ? 0 : labelled ? options_.teacher_share : 1;
    const double smoothing = labelled ? options_.label_smoothing : 0;
    for (size_t i = 0; i < target.size(); ++i) {
      double value = target[i];
      if (share > 0) value += share * (example.taught[i] - value);
      values.push_back(static_cast<float>(value + smoothing * (0.5 - value)));
    }
  }
  return Tensor::from<float>(std::span<const float>(values), {std::ssize(examples), count});
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
  const nn::Problem problem = options_.problem();
  if (problem == nn::Problem::multi_label || problem == nn::Problem::regression) {
    batch.targets = targets_of_problem(examples);
  } else if (options_.teachers.empty() && options_.label_smoothing == 0 && problem != nn::Problem::ordinal) {
    batch.targets = labels(examples);
  } else {
    std::vector<float> hard, soft;
    for (const ClassifierExample& example : examples) add_targets(example, hard, soft);
    const auto tensor_of = [&](const std::vector<float>& values) {
      return Tensor::from<float>(std::span<const float>(values),
                                 {static_cast<int64_t>(examples.size()), std::ssize(options_.labels)});
    };
    batch.targets = tensor_of(hard);
    if (!soft.empty()) batch.softened = tensor_of(soft);
  }
  if (options_.balance > 0 || !options_.extra_groups.empty()) batch.adjustments = adjustments(examples);
  return batch;
}

}  // namespace qing::optim
