#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <utility>

#include <qing/serve/common/usage_error.h>
#include <qing/serve/tasks/image/image_training.h>
#include <qing/tensor/errors.h>

namespace qing::serve::image {
namespace {

constexpr const char *kNetwork = "Model", *kImages = "Images", *kSteps = "Training", *kRegularize = "Regularization";

int64_t whole(std::string_view text, const char* option, int64_t most) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    throw cli::UsageError(fmt::format("--{}: '{}' is no number from 1 to {}", option, text, most));
  }
  return value;
}

}  // namespace

optim::ImageOptions image_options(const ImageArguments& arguments) {
  optim::ImageOptions options;
  options.network = arguments.network;
  options.widths.clear();
  for (std::string_view rest = arguments.widths;;) {
    const size_t comma = rest.find(',');
    options.widths.push_back(whole(rest.substr(0, comma), "widths", 65536));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  options.blocks = arguments.blocks;
  options.patch = arguments.patch;
  options.pooling = arguments.pooling == "mean" ? nn::PatchPooling::mean : nn::PatchPooling::cls;
  options.fit = arguments.fit == "crop" ? nn::ImageFit::crop : nn::ImageFit::stretch;
  options.optimizer = arguments.optimizer == "adamw" ? optim::ImageOptimizer::adamw : optim::ImageOptimizer::sgd;
  options.momentum = arguments.momentum;
  options.decay = arguments.decay == "linear" ? optim::WarmupDecay::linear : optim::WarmupDecay::cosine;
  options.augmentation = {.crop_padding = arguments.crop_padding,
                          .flip = arguments.flip,
                          .erase = arguments.erase,
                          .mixup = arguments.mixup};
  return options;
}

nn::ImageDataOptions reading_options(const ImageArguments& arguments) {
  constexpr int64_t kLargestSide = 4096;
  nn::ImageDataOptions options;
  options.channels = arguments.channels;
  try {
    options.map = nn::LabelMap(arguments.map);
  } catch (const ValueError& error) { throw cli::UsageError(fmt::format("--map: {}", error.what())); }
  options.fit = arguments.fit == "crop" ? nn::ImageFit::crop : nn::ImageFit::stretch;
  if (arguments.image_size.empty()) return options;
  const std::string_view size = arguments.image_size;
  const size_t by = size.find('x');
  options.height = whole(size.substr(0, by), "image-size", kLargestSide);
  options.width =
      by == std::string_view::npos ? options.height : whole(size.substr(by + 1), "image-size", kLargestSide);
  return options;
}

std::vector<TaskOption> ImageRecipe::options() {
  ImageArguments& a = arguments_;
  constexpr optim::OptionRange kUnit = {0, 1}, kBelow = {0, 1, false, true};
  return {
      {"network",
       &a.network,
       "Kind of network: a residual network, or a vision transformer",
       kNetwork,
       {},
       {"resnet", "vit"}},
      {"widths", &a.widths, "Channels of each stage of a residual network, separated by commas", kNetwork},
      {"blocks", &a.blocks, "Number of blocks of each stage of a residual network", kNetwork, {1, 1000}},
      {"patch", &a.patch, "Side of a vision transformer's patches, in pixels", kNetwork, {1, 4096}},
      {"pooling",
       &a.pooling,
       "Pooling of a vision transformer: its class token, or the mean of all patches",
       kNetwork,
       {},
       {"cls", "mean"}},
      {"map", &a.map, "Label of the data under another name, as NAME,NAME,...=LABEL. Repeat it for several rules"},
      {"image-size", &a.image_size,
       "Size that images get, as SIDE or HEIGHTxWIDTH in pixels. Without it all images have one size", kImages},
      {"channels",
       &a.channels,
       "Channels that images get: 1 is gray, 3 red, green and blue, 0 those of the first",
       kImages,
       {0, 3}},
      {"fit",
       &a.fit,
       "How other sizes fit: both sides are resized, or the shorter one and the middle is cut out",
       kImages,
       {},
       {"stretch", "crop"}},
      {"bad-images",
       &a.bad_images,
       "What pictures that cannot be read do: they stop the training, or are left out",
       kImages,
       {},
       {"stop", "skip"}},
      {"optimizer", &a.optimizer, "Optimizer: SGD with Nesterov's momentum, or AdamW", kSteps, {}, {"sgd", "adamw"}},
      {"momentum", &a.momentum, "Momentum of SGD", kSteps, kBelow},
      {"decay", &a.decay, "Shape in which the learning rate falls to 0", kSteps, {}, {"cosine", "linear"}},
      {"crop-padding",
       &a.crop_padding,
       "Pixels of black around an image, from which it is cropped at random. 0 disables it",
       kRegularize,
       {0, 1024}},
      {"flip", &a.flip, "Probability of a horizontal mirror image. 0 suits digits and letters", kRegularize, kUnit},
      {"erase", &a.erase, "Probability that a random rectangle of an image is erased", kRegularize, kUnit},
      {"mixup", &a.mixup, "Alpha of mixup, which blends pairs of images and their labels. 0 disables it", kRegularize,
       kUnit}};
}

}  // namespace qing::serve::image
