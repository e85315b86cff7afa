#include <qing/nn/models/integrated_gradients.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/ragged_batch.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

struct Quadrature {
  std::vector<double> points, weights;  // on [0, 1]
};

// Gauss-Legendre: the points are the roots of the Legendre polynomial of degree n, found by Newton's method from
// Tricomi's estimate (Press et al., Numerical Recipes, 4.6). Exact for polynomials up to degree 2n - 1.
Quadrature gauss_legendre(int32_t n) {
  Quadrature q;
  for (int32_t i = 0; i < n; ++i) {
    double x = std::cos(std::numbers::pi * (i + 0.75) / (n + 0.5)), slope = 1;
    for (int iteration = 0; iteration < 20; ++iteration) {
      double value = 1, before = 0;
      for (int32_t k = 1; k <= n; ++k) before = std::exchange(value, ((2 * k - 1) * x * value - (k - 1) * before) / k);
      slope = n * (x * value - before) / (x * x - 1);
      const double step = value / slope;
      x -= step;
      if (std::abs(step) < 1e-15) break;
    }
    q.points.push_back((1 - x) / 2);
    q.weights.push_back(1 / ((1 - x * x) * slope * slope));
  }
  return q;
}

// A text at one point of its path: embeddings = baseline + point * (words - baseline).
struct Item {
  size_t text;
  double point, weight;
};

class Paths {
 public:
  Paths(const EncoderForSequenceClassification& model, std::span<const Encoding> encodings,
        std::span<const int32_t> labels, int32_t pad_id, const Tensor& added_logits)
      : model_(model),
        encodings_(encodings),
        labels_(labels),
        width_(model.config().encoder.embedding_width()),
        classes_(std::ssize(model.config().labels)),
        added_(added_logits.defined() ? added_logits.contiguous() : Tensor::zeros({std::ssize(encodings), classes_})) {
    const NoGradGuard guard;
    for (const Encoding& encoding : encodings) {
      std::vector<int32_t> baseline(encoding.ids.size(), pad_id);
      if (!baseline.empty()) {
        baseline.front() = encoding.ids.front();
        baseline.back() = encoding.ids.back();
      }
      words_.push_back(embed(encoding.ids));
      baselines_.push_back(embed(baseline));
    }
  }

  int64_t tokens(size_t text) const { return static_cast<int64_t>(encodings_[text].ids.size()); }

  /// Returns the probability of the label at each item.
  std::vector<double> scores(std::span<const Item> items) const {
    // Computed in f32 like the gradients: layers packed in bf16 or i8 use the packed weights only without gradients.
    // Nothing is recorded here.
    const EnableGradGuard guard;
    const Tensor p = probabilities(embeddings(items), added(items), items);
    std::vector<double> scores;
    for (size_t i = 0; i < items.size(); ++i) scores.push_back(p.data<float>()[index(i, items[i].text)]);
    return scores;
  }

  /// Returns the contribution of the added logits.
  double added_contribution(size_t text, const Attribution& attribution) const {
    const float* logit = added_.data<float>() + static_cast<int64_t>(text) * classes_;
    return std::inner_product(attribution.logit_slopes.begin(), attribution.logit_slopes.end(), logit, 0.0);
  }

  /// Adds each item's share, weight * gradient * (words - baseline) summed over the width, to its text's weights.
  void add_gradients(std::span<const Item> items, std::vector<Attribution>& attributions) const {
    const EnableGradGuard guard;
    Tensor x = embeddings(items);
    Tensor y = added(items);
    set_requires_grad(x);
    set_requires_grad(y);
    const Tensor p = probabilities(x, y, items);
    // Each sequence's probability depends only on its own rows, so one walk of the graph serves all sequences.
    Tensor chosen = Tensor::zeros(p.shape());
    for (size_t i = 0; i < items.size(); ++i) chosen.data<float>()[index(i, items[i].text)] = 1;
    const std::vector<Tensor> walked = gradients(p, {x, y}, {.gradient = chosen});
    const float* row = walked[0].data<float>();
    const float* slope = walked[1].data<float>();
    for (const Item& item : items) {
      for (double& mean : attributions[item.text].logit_slopes) mean += item.weight * *slope++;
      const float* word = words_[item.text].data<float>();
      const float* base = baselines_[item.text].data<float>();
      for (double& weight : attributions[item.text].weights) {
        double sum = 0;
        for (int64_t j = 0; j < width_; ++j) sum += static_cast<double>(row[j]) * (word[j] - base[j]);
        weight += item.weight * sum;
        row += width_, word += width_, base += width_;
      }
    }
  }

 private:
  Tensor embed(const std::vector<int32_t>& ids) const {
    return model_.word_embeddings(Tensor::from<int32_t>(ids, {static_cast<int64_t>(ids.size())})).contiguous();
  }
  // As predictions have them: of the logits divided by the calibration's temperature.
  Tensor probabilities(const Tensor& words, const Tensor& added, std::span<const Item> items) const {
    const ClassifierConfig& config = model_.config();
    const Tensor logits = (model_.forward_embeddings(words, batch(items)) + added) / config.calibration_temperature;
    return config.problem == Problem::multi_label ? sigmoid(logits) : softmax(logits);
  }
  int64_t index(size_t row, size_t text) const {
    return static_cast<int64_t>(row * model_.config().labels.size()) + labels_[text];
  }
  RaggedBatch batch(std::span<const Item> items) const {
    std::vector<std::span<const int32_t>> sequences;
    for (const Item& item : items) sequences.emplace_back(encodings_[item.text].ids);
    return RaggedBatch::of(sequences);
  }
  Tensor embeddings(std::span<const Item> items) const {
    int64_t rows = 0;
    for (const Item& item : items) rows += tokens(item.text);
    Tensor x = Tensor::empty({rows, width_});
    float* out = x.data<float>();
    for (const Item& item : items) {
      const float* word = words_[item.text].data<float>();
      const float* base = baselines_[item.text].data<float>();
      const auto point = static_cast<float>(item.point);
      for (int64_t j = 0; j < tokens(item.text) * width_; ++j) *out++ = base[j] + point * (word[j] - base[j]);
    }
    return x;
  }

  Tensor added(std::span<const Item> items) const {
    Tensor y = Tensor::empty({std::ssize(items), classes_});
    float* out = y.data<float>();
    for (const Item& item : items) {
      const float* logit = added_.data<float>() + static_cast<int64_t>(item.text) * classes_;
      for (int64_t c = 0; c < classes_; ++c) *out++ = static_cast<float>(item.point) * logit[c];
    }
    return y;
  }

  const EncoderForSequenceClassification& model_;
  std::span<const Encoding> encodings_;
  std::span<const int32_t> labels_;
  int64_t width_, classes_;
  Tensor added_;                           // [texts, classes]
  std::vector<Tensor> words_, baselines_;  // [tokens, width] for each text
};

// Calls `use` with runs of items with at most `most` tokens, but at least one item.
template <typename Use> void for_batches(const Paths& paths, std::span<const Item> items, int64_t most, Use use) {
  for (size_t begin = 0; begin < items.size();) {
    int64_t tokens = paths.tokens(items[begin].text);
    size_t end = begin + 1;
    while (end < items.size() && tokens + paths.tokens(items[end].text) <= most) {
      tokens += paths.tokens(items[end++].text);
    }
    use(items.subspan(begin, end - begin));
    begin = end;
  }
}

void check(const EncoderForSequenceClassification& model, std::span<const Encoding> encodings,
           std::span<const int32_t> labels, const Tensor& added_logits, const IntegratedGradientsOptions& options) {
  if (encodings.size() != labels.size()) {
    throw ValueError(fmt::format("integrated_gradients: {} encodings and {} labels; give one label each",
                                 encodings.size(), labels.size()));
  }
  if (!(options.tolerance > 0) || options.first_steps < 1 || options.most_steps < options.first_steps ||
      options.batch_tokens < 1) {
    throw ValueError(
        fmt::format("integrated_gradients: tolerance {}, first_steps {}, most_steps {}, batch_tokens {}; "
                    "all must be positive, and most_steps no less than first_steps",
                    options.tolerance, options.first_steps, options.most_steps, options.batch_tokens));
  }
  const auto count = static_cast<int32_t>(model.config().labels.size());
  if (added_logits.defined() && added_logits.shape() != Shape{std::ssize(encodings), count}) {
    throw ShapeError(fmt::format("integrated_gradients: added logits of {} for {} texts and {} labels",
                                 to_string(added_logits.shape()), encodings.size(), count));
  }
  for (const int32_t label : labels) {
    if (label >= 0 && label < count) continue;
    throw IndexError(fmt::format("integrated_gradients: label {} is outside [0, {})", label, count));
  }
}

}  // namespace

std::vector<Attribution> integrated_gradients(const EncoderForSequenceClassification& model,
                                              std::span<const Encoding> encodings, std::span<const int32_t> labels,
                                              int32_t pad_id, const Tensor& added_logits,
                                              const IntegratedGradientsOptions& options) {
  check(model, encodings, labels, added_logits, options);
  const Paths paths(model, encodings, labels, pad_id, added_logits);
  std::vector<Attribution> attributions(encodings.size());
  std::vector<Item> ends;
  for (size_t i = 0; i < encodings.size(); ++i) {
    ends.push_back({i, 0, 0});
    ends.push_back({i, 1, 0});
  }
  for_batches(paths, ends, options.batch_tokens, [&](std::span<const Item> items) {
    const std::vector<double> scores = paths.scores(items);
    for (size_t i = 0; i < items.size(); ++i) {
      (items[i].point == 0 ? attributions[items[i].text].baseline : attributions[items[i].text].score) = scores[i];
    }
  });
  std::vector<size_t> open(encodings.size());
  std::iota(open.begin(), open.end(), size_t{0});
  for (int32_t steps = options.first_steps; !open.empty(); steps = std::min(2 * steps, options.most_steps)) {
    const Quadrature quadrature = gauss_legendre(steps);
    std::vector<Item> items;
    for (const size_t text : open) {
      attributions[text].weights.assign(encodings[text].ids.size(), 0);
      attributions[text].logit_slopes.assign(model.config().labels.size(), 0);
      attributions[text].steps = steps;
      for (size_t i = 0; i < quadrature.points.size(); ++i) {
        items.push_back({text, quadrature.points[i], quadrature.weights[i]});
      }
    }
    for_batches(paths, items, options.batch_tokens,
                [&](std::span<const Item> part) { paths.add_gradients(part, attributions); });
    std::erase_if(open, [&](size_t text) {
      Attribution& a = attributions[text];
      const double words = std::accumulate(a.weights.begin(), a.weights.end(), 0.0);
      a.gap = std::abs(words + paths.added_contribution(text, a) - (a.score - a.baseline));
      return a.gap <= options.tolerance || steps >= options.most_steps;
    });
  }
  return attributions;
}

}  // namespace qing::nn
