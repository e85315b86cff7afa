#include <qing/optim/images/augmentation.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

constexpr int64_t kImagesAtATime = 8;
// Random erasing, as torchvision's RandomErasing has it.
constexpr double kLeastArea = 0.02, kMostArea = 0.33, kLeastRatio = 0.3, kMostRatio = 3.3;
constexpr int kAttempts = 10;

double uniform(Generator& rng) { return static_cast<double>(rng.next_u64() >> 11) * 0x1p-53; }
double uniform(Generator& rng, double low, double high) { return low + (high - low) * uniform(rng); }

// Beta(α, α) for 0 < α ≤ 1 (Jöhnk 1964).
double symmetric_beta(Generator& rng, double alpha) {
  for (;;) {
    const double x = std::pow(uniform(rng), 1 / alpha), y = std::pow(uniform(rng), 1 / alpha);
    if (x + y > 0 && x + y <= 1) return x / (x + y);
  }
}

void require_share(const char* name, double value, bool below_one) {
  if (value >= 0 && (below_one ? value < 1 : value <= 1)) return;
  throw ValueError(fmt::format("{}: {} is outside [0, 1{}", name, value, below_one ? ")" : "]"));
}

}  // namespace

void Augmentation::validate() const {
  if (crop_padding < 0 || crop_padding > 1024) {
    throw ValueError(fmt::format("crop_padding: {} is outside [0, 1024]", crop_padding));
  }
  require_share("flip", flip, false);
  require_share("erase", erase, false);
  require_share("mixup", mixup, false);
  require_share("label_smoothing", label_smoothing, true);
}

ImageCollate::ImageCollate(Tensor pixels, std::span<const int32_t> labels, int64_t classes,
                           nn::ImagePreprocessing preprocessing, Augmentation augmentation, uint64_t seed)
    : pixels_(std::move(pixels)),
      labels_(labels),
      classes_(classes),
      preprocessing_(std::move(preprocessing)),
      augmentation_(augmentation),
      seed_(seed) {
  augmentation_.validate();
  for (size_t c = 0; c < preprocessing_.mean.size(); ++c) {
    black_.push_back((0.0F / 255.0F - preprocessing_.mean[c]) / preprocessing_.std[c]);
  }
}

ImageBatch ImageCollate::operator()(std::vector<size_t> indices, const nn::BatchNumber& number) const {
  const auto& p = preprocessing_;
  const auto count = static_cast<int64_t>(indices.size());
  ImageBatch batch{Tensor::empty({count, p.channels, p.height, p.width}),
                   Tensor::full({count, classes_}, augmentation_.label_smoothing / static_cast<double>(classes_))};
  Generator of_batch = nn::generator_for(seed_, number);
  const uint64_t seed = of_batch.next_u64();
  parallel_for(count, kImagesAtATime, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const size_t index = indices[static_cast<size_t>(i)];
      Generator rng = nn::generator_for(seed, static_cast<uint64_t>(i), nn::RandomUse::augmentation);
      augment(index, rng, batch.x.data<float>() + i * p.values());
      batch.targets.data<float>()[i * classes_ + labels_[index]] +=
          static_cast<float>(1 - augmentation_.label_smoothing);
    }
  });
  if (augmentation_.mixup > 0) mix(of_batch, batch);
  return batch;
}

void ImageCollate::augment(size_t index, Generator& rng, float* to) const {
  const auto& p = preprocessing_;
  const int64_t padding = augmentation_.crop_padding;
  int64_t down = 0, right = 0;
  if (padding > 0) {
    const auto range = static_cast<uint64_t>(2 * padding + 1);
    down = static_cast<int64_t>(rng.below(range)) - padding;
    right = static_cast<int64_t>(rng.below(range)) - padding;
  }
  const bool flips = augmentation_.flip > 0 && uniform(rng) < augmentation_.flip;
  const uint8_t* image = pixels_.data<uint8_t>() + static_cast<int64_t>(index) * p.values();
  for (int64_t c = 0; c < p.channels; ++c) {
    const float mean = p.mean[static_cast<size_t>(c)], deviation = p.std[static_cast<size_t>(c)];
    for (int64_t y = 0; y < p.height; ++y) {
      const int64_t row = y + down;
      for (int64_t x = 0; x < p.width; ++x, ++to) {
        const int64_t column = (flips ? p.width - 1 - x : x) + right;
        const bool inside = row >= 0 && row < p.height && column >= 0 && column < p.width;
        *to = inside
                  ? (static_cast<float>(image[(row * p.width + column) * p.channels + c]) / 255.0F - mean) / deviation
                  : black_[static_cast<size_t>(c)];
      }
    }
  }
  to -= p.values();
  if (augmentation_.erase > 0 && uniform(rng) < augmentation_.erase) erase(rng, to);
}

void ImageCollate::erase(Generator& rng, float* to) const {
  const auto& p = preprocessing_;
  const auto area = static_cast<double>(p.height * p.width);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const double size = area * uniform(rng, kLeastArea, kMostArea);
    const double ratio = std::exp(uniform(rng, std::log(kLeastRatio), std::log(kMostRatio)));
    const int64_t high = std::lround(std::sqrt(size * ratio)), wide = std::lround(std::sqrt(size / ratio));
    if (high < 1 || wide < 1 || high >= p.height || wide >= p.width) continue;
    const auto top = static_cast<int64_t>(rng.below(static_cast<uint64_t>(p.height - high + 1)));
    const auto left = static_cast<int64_t>(rng.below(static_cast<uint64_t>(p.width - wide + 1)));
    for (int64_t c = 0; c < p.channels; ++c) {
      for (int64_t y = top; y < top + high; ++y) std::fill_n(to + (c * p.height + y) * p.width + left, wide, 0.0F);
    }
    return;
  }
}

// Image i is mixed with image n − 1 − i.
void ImageCollate::mix(Generator& rng, ImageBatch& batch) const {
  const auto share = static_cast<float>(symmetric_beta(rng, augmentation_.mixup));
  const auto mixed = [&](Tensor& rows) {
    const int64_t count = rows.size(0), size = rows.numel() / std::max<int64_t>(1, count);
    const Tensor old = rows.clone();
    for (int64_t i = 0; i < count; ++i) {
      const float *own = old.data<float>() + i * size, *other = old.data<float>() + (count - 1 - i) * size;
      float* to = rows.data<float>() + i * size;
      for (int64_t j = 0; j < size; ++j) to[j] = share * own[j] + (1 - share) * other[j];
    }
  };
  mixed(batch.x);
  mixed(batch.targets);
}

}  // namespace qing::optim
