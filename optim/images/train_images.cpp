#include <qing/optim/images/train_images.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include <qing/autograd/ops/losses.h>
#include <qing/nn/data/batch_sampler.h>
#include <qing/nn/data/data_loader.h>
#include <qing/optim/averaged_model.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/loader_losses.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

constexpr const char* kRecipe = "train_images";
// Images that are normalized together in an evaluation.
constexpr int64_t kEvaluated = 512;

// The indices of a data set's examples.
struct IndexDataset {
  using value_type = size_t;
  size_t count;
  size_t size() const { return count; }
  size_t get(size_t i) const { return i; }
};

// Matrices and filters decay; biases and norms, which have one dimension, do not. Neither do a vision transformer's
// positions and class token.
struct Decayed {
  std::vector<Tensor> with, without;

  explicit Decayed(nn::Module& network) {
    for (const auto& [name, parameter] : network.named_parameters()) {
      const bool decays =
          parameter.dim() >= 2 && !name.ends_with("position_embeddings") && !name.ends_with("cls_token");
      (decays ? with : without).push_back(parameter);
    }
  }
};

std::unique_ptr<Optimizer> make_optimizer(nn::Module& network, const TrainOptions& options, const ImageOptions& more) {
  Decayed parameters(network);
  if (more.optimizer == ImageOptimizer::sgd) {
    const SgdOptions plain{.lr = options.lr, .momentum = more.momentum, .nesterov = more.momentum > 0};
    SgdOptions decaying = plain;
    decaying.weight_decay = options.weight_decay;
    return std::make_unique<Sgd>(
        std::vector<ParameterGroup<SgdOptions>>{{parameters.with, decaying}, {parameters.without, plain}});
  }
  AdamWOptions plain = options.adamw();
  plain.weight_decay = 0;
  return std::make_unique<AdamW>(
      std::vector<ParameterGroup<AdamWOptions>>{{parameters.with, options.adamw()}, {parameters.without, plain}});
}

void check_images(const nn::LabelledImages& images, const TrainOptions& options, const ImageOptions& more) {
  check_option_ranges(options);
  const auto fail = [](const std::string& what) { throw ValueError(fmt::format("{}: {}", kRecipe, what)); };
  if (images.labels.empty()) fail("there are no images");
  if (images.names.size() < 2) fail("there must be at least 2 labels");
  if (more.network != "resnet" && more.network != "vit") {
    fail(fmt::format("network '{}' is neither resnet nor vit", more.network));
  }
  if (!(more.momentum >= 0 && more.momentum < 1)) fail(fmt::format("momentum {} is outside [0, 1)", more.momentum));
  for (const int32_t label : images.labels) {
    if (label < 0 || static_cast<size_t>(label) >= images.names.size())
      fail(fmt::format("label {} has no name", label));
  }
}

class ImageTraining {
 public:
  ImageTraining(const nn::LabelledImages& images, const TrainOptions& options, const ImageOptions& more,
                const RunOptions& run)
      : options_(options),
        more_(more),
        config_(image_config(images, options, more)),
        rng_(options.seed),
        network_(config_.build(rng_)),
        loader_(make_loader(images)),
        run_({.name = kRecipe,
              .part = "images",
              .epochs = options.epochs,
              .epoch_steps = std::max<int64_t>(1, images.size() / options.batch),
              .max_steps = options.max_steps,
              .warmup = options.warmup,
              .decay = more.decay,
              .clip = options.clip,
              .precision = options.precision},
             run) {
    network_->set_requires_grad(true);
    network_->train();
    if (options.ema > 0) average_.emplace(averaged(), ema_with_warmup(options.ema));
  }

  TrainResult run(const std::filesystem::path& out, const OnProgress& on_progress) {
    const std::unique_ptr<Optimizer> optimizer = make_optimizer(*network_, options_, more_);
    const LossSource source = losses_of(loader_, [this](const ImageBatch& batch) {
      run_.count(batch.x.size(0), batch.x.size(0));
      return cross_entropy(network_->forward(batch.x, &rng_), batch.targets);
    });
    const auto save = [this](const std::filesystem::path& folder) {
      nn::save_image_classifier(folder, config_, *network_);
    };
    return run_.run(*network_, *optimizer, source, rng_, average_ ? &*average_ : nullptr, save, out, on_progress, {});
  }

 private:
  nn::DataLoader<ImageBatch> make_loader(const nn::LabelledImages& images) const {
    Augmentation augmentation = more_.augmentation;
    augmentation.label_smoothing = options_.label_smoothing;
    const size_t count = images.labels.size();
    const auto sampler = std::make_shared<nn::RandomSampler>(count, nn::RandomSamplerOptions{.seed = options_.seed});
    return {IndexDataset{count},
            ImageCollate(images.pixels, images.labels, static_cast<int64_t>(images.names.size()), config_.preprocessing,
                         augmentation, options_.seed),
            std::make_shared<nn::FixedBatchSampler>(sampler, static_cast<size_t>(options_.batch),
                                                    count > static_cast<size_t>(options_.batch))};
  }

  // Parameters, and the running statistics that belong to them.
  std::vector<Tensor> averaged() const {
    std::vector<Tensor> tensors = network_->parameters();
    for (const auto& [name, buffer] : network_->named_buffers()) {
      if (buffer.dtype() == DType::f32) tensors.push_back(buffer);
    }
    return tensors;
  }

  const TrainOptions& options_;
  const ImageOptions& more_;
  nn::ImageConfig config_;
  Generator rng_;
  std::unique_ptr<nn::UnaryModule> network_;
  nn::DataLoader<ImageBatch> loader_;
  std::optional<AveragedModel> average_;
  TrainingRun run_;
};

}  // namespace

nn::ImageConfig image_config(const nn::LabelledImages& images, const TrainOptions& options, const ImageOptions& more) {
  check_images(images, options, more);
  const Tensor& pixels = images.pixels;
  const auto classes = static_cast<int64_t>(images.names.size());
  nn::ImageConfig config;
  config.labels = images.names;
  config.preprocessing.height = pixels.size(1);
  config.preprocessing.width = pixels.size(2);
  config.preprocessing.channels = pixels.size(3);
  config.preprocessing.fit = more.fit;
  nn::measure_channels(pixels, config.preprocessing.mean, config.preprocessing.std);
  if (more.network == "resnet") {
    config.network = nn::ResidualNetworkConfig{pixels.size(3), classes, more.widths, more.blocks};
  } else {
    config.network = nn::VisionTransformerConfig{
        .num_channels = pixels.size(3),
        .image_height = pixels.size(1),
        .image_width = pixels.size(2),
        .patch_size = more.patch,
        .hidden_size = options.width,
        .num_hidden_layers = options.layers,
        .num_attention_heads = options.heads > 0 ? options.heads : std::max<int64_t>(1, options.width / 32),
        .intermediate_size = 4 * options.width,
        .hidden_dropout_prob = options.dropout,
        .attention_probs_dropout_prob = options.dropout,
        .pooling = more.pooling,
        .classes = classes};
  }
  config.validate();
  return config;
}

TrainResult train_images(const nn::LabelledImages& images, const TrainOptions& options, const ImageOptions& more,
                         const std::filesystem::path& out, const OnProgress& on_progress, const RunOptions& run) {
  return ImageTraining(images, options, more, run).run(out, on_progress);
}

ImageScores evaluate_images(const nn::ImageClassifier& model, const nn::LabelledImages& images) {
  if (images.labels.empty()) throw ValueError("evaluate_images: there are no images");
  if (images.names != model.labels()) throw ValueError("evaluate_images: the images have other labels than the model");
  ImageScores scores{nn::ConfusionMatrix(static_cast<int64_t>(images.names.size())), 0};
  for (int64_t first = 0; first < images.size(); first += kEvaluated) {
    const int64_t last = std::min(first + kEvaluated, images.size());
    const auto predictions = model.predict(images.pixels.slice(0, first, last));
    for (size_t i = 0; i < predictions.size(); ++i) {
      const int32_t label = images.labels[static_cast<size_t>(first) + i];
      scores.matrix.add(label, predictions[i].label);
      const auto score = static_cast<double>(predictions[i].scores[static_cast<size_t>(label)]);
      scores.loss -= std::log(std::max(score, 1e-12));
    }
  }
  scores.loss /= static_cast<double>(images.size());
  return scores;
}

}  // namespace qing::optim
