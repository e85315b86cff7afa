#include <qing/nn/models/pixel_gradients.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/softmax.h>
#include <qing/autograd/ops/views.h>

namespace qing::nn {
namespace {

constexpr int64_t kFirstSteps = 32, kMostSteps = 256, kBatch = 32;
constexpr double kSumTolerance = 0.01;

double probability(const UnaryModule& network, const Tensor& x, int32_t label) {
  const NoGradGuard no_grad;
  return softmax(network.forward(x), -1).at({0, label});
}

// Σ of the gradients at `steps` midpoints, in f64 [elements].
std::vector<double> gradient_sum(const UnaryModule& network, const Tensor& x, const Tensor& baseline, int32_t label,
                                 int64_t steps) {
  const int64_t size = x.numel();
  std::vector<double> sum(static_cast<size_t>(size), 0);
  for (int64_t first = 0; first < steps; first += kBatch) {
    const int64_t count = std::min(kBatch, steps - first);
    Shape shape = x.shape();
    shape[0] = count;
    Tensor points = Tensor::empty(shape);
    for (int64_t s = 0; s < count; ++s) {
      const auto share = static_cast<float>((static_cast<double>(first + s) + 0.5) / static_cast<double>(steps));
      for (int64_t i = 0; i < size; ++i) {
        const float from = baseline.data<float>()[i];
        points.data<float>()[s * size + i] = from + share * (x.data<float>()[i] - from);
      }
    }
    set_requires_grad(points);
    const Tensor scores = softmax(network.forward(points), -1);
    const Tensor slopes = gradients({qing::sum(slice(scores, 1, label, label + 1))}, {points})[0].alias().contiguous();
    for (int64_t s = 0; s < count; ++s) {
      for (int64_t i = 0; i < size; ++i) {
        sum[static_cast<size_t>(i)] += static_cast<double>(slopes.data<float>()[s * size + i]);
      }
    }
  }
  return sum;
}

}  // namespace

ImageExplanation pixel_gradients(const UnaryModule& network, const Tensor& x, const Tensor& baseline, int32_t label) {
  const int64_t channels = x.size(1), pixels = x.size(2) * x.size(3);
  ImageExplanation explanation{label, probability(network, x, label), probability(network, baseline, label),
                               Tensor::zeros({x.size(2), x.size(3)}), 0};
  const double difference = explanation.score - explanation.baseline;
  for (int64_t steps = kFirstSteps;; steps *= 2) {
    const std::vector<double> sum = gradient_sum(network, x, baseline, label, steps);
    double total = 0;
    explanation.weights.fill(0);
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < pixels; ++i) {
        const int64_t at = c * pixels + i;
        const double change =
            static_cast<double>(x.data<float>()[at]) - static_cast<double>(baseline.data<float>()[at]);
        const double weight = change * sum[static_cast<size_t>(at)] / static_cast<double>(steps);
        explanation.weights.data<float>()[i] += static_cast<float>(weight);
        total += weight;
      }
    }
    explanation.gap = std::abs(total - difference);
    if (explanation.gap <= kSumTolerance || steps >= kMostSteps) return explanation;
  }
}

}  // namespace qing::nn
