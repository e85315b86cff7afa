#include <qing/serve/tasks/image/image_training.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include <qing/nn/data/labelled_texts.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/reports/card_sections.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/tasks/image/image_card.h>
#include <qing/tensor/errors.h>

namespace qing::serve::image {
namespace {

namespace fs = std::filesystem;

// Below this number a dev set would be too small to compare models, so that none is held out unasked.
constexpr int64_t kLeastImagesToHold = 200;

std::string_view bytes_of(const nn::LabelledImages& images, int64_t i) {
  const int64_t size = images.pixels.numel() / std::max<int64_t>(1, images.pixels.size(0));
  return {reinterpret_cast<const char*>(images.pixels.data<uint8_t>()) + i * size, static_cast<size_t>(size)};
}

std::vector<int64_t> label_counts(const nn::LabelledImages& images) {
  std::vector<int64_t> counts(images.names.size());
  for (const int32_t label : images.labels) ++counts[static_cast<size_t>(label)];
  return counts;
}

// Of pictures, labels and their names as they are after reading: labels may lie in another file than the pictures, and
// pictures in others than their list.
std::string digest_of_images(const nn::LabelledImages& images) {
  std::string all(reinterpret_cast<const char*>(images.labels.data()), images.labels.size() * sizeof(int32_t));
  for (const std::string& name : images.names) all.append(name).push_back('\0');
  all += sha256_of_bytes(
      {reinterpret_cast<const char*>(images.pixels.data<uint8_t>()), static_cast<size_t>(images.pixels.numel())});
  return sha256_of_bytes(all);
}

// Those of the images whose indices are given, in this order.
nn::LabelledImages chosen(const nn::LabelledImages& images, const std::vector<int64_t>& indices) {
  nn::LabelledImages result{{}, {}, images.names, 0};
  Shape shape = images.pixels.shape();
  shape[0] = static_cast<int64_t>(indices.size());
  result.pixels = Tensor::empty(shape, DType::u8);
  auto* to = reinterpret_cast<char*>(result.pixels.data<uint8_t>());
  for (const int64_t i : indices) {
    const std::string_view bytes = bytes_of(images, i);
    std::memcpy(to, bytes.data(), bytes.size());
    to += bytes.size();
    result.labels.push_back(images.labels[static_cast<size_t>(i)]);
  }
  return result;
}

nn::LabelledImages joined(const std::vector<ImageSet>& sets) {
  if (sets.size() == 1) return sets.front().images;
  nn::LabelledImages all{{}, {}, sets.front().images.names, 0};
  Shape shape = sets.front().images.pixels.shape();
  shape[0] = 0;
  for (const ImageSet& set : sets) shape[0] += set.images.size();
  all.pixels = Tensor::empty(shape, DType::u8);
  uint8_t* to = all.pixels.data<uint8_t>();
  for (const ImageSet& set : sets) {
    std::memcpy(to, set.images.pixels.data<uint8_t>(), static_cast<size_t>(set.images.pixels.numel()));
    to += set.images.pixels.numel();
    all.labels.insert(all.labels.end(), set.images.labels.begin(), set.images.labels.end());
  }
  return all;
}

cli::SetScores set_scores(const ImageSet& set, const optim::ImageScores& scores) {
  const nn::ConfusionMatrix& matrix = scores.matrix;
  return {.name = set.name,
          .score = matrix.accuracy(),
          .values = {{"accuracy", matrix.accuracy()},
                     {"macro_f1", matrix.macro_f1()},
                     {"macro_recall", matrix.macro_recall()},
                     {"loss", scores.loss},
                     {"images", static_cast<double>(matrix.total())}},
          .text = fmt::format("accuracy {:.4f}, macro-F1 {:.4f}, loss {:.4f} ({})", matrix.accuracy(),
                              matrix.macro_f1(), scores.loss, how_many(matrix.total(), "image"))};
}

}  // namespace

ImageTraining::ImageTraining(TaskData data, const ImageArguments& arguments)
    : data_(std::move(data)), more_(image_options(arguments)) {
  nn::ImageDataOptions reading = reading_options(arguments);
  if (arguments.bad_images == "skip") {
    reading.on_bad_image = [speaks = data_.speaks](const std::string& what) {
      if (speaks) fmt::print(stderr, "qing: warning: left out: {}\n", what);
    };
  }
  std::vector<fs::path> all = data_.data;
  all.insert(all.end(), data_.dev.begin(), data_.dev.end());
  cli::check_distinct(all);
  const std::vector<std::string> names = cli::names_of(all, all);
  std::vector<ImageSet> sets = read(data_.data, reading);
  dev_ = read(data_.dev, reading);
  for (size_t i = 0; i < sets.size(); ++i) sets[i].name = names[i];
  for (size_t i = 0; i < dev_.size(); ++i) dev_[i].name = names[sets.size() + i];
  images_ = joined(sets);
  for (ImageSet& set : sets) files_.push_back(std::move(set.file));
  if (data_.dev_share > 0) hold_out();
}

// The first file says what the labels, the size and the channels of the others are.
std::vector<ImageSet> ImageTraining::read(const std::vector<fs::path>& paths, nn::ImageDataOptions& reading) const {
  std::vector<ImageSet> sets;
  for (const fs::path& path : paths) {
    // Nothing may throw inside the braces: g++ 12 destroys the members of a nested aggregate twice then.
    nn::LabelledImages images = nn::read_images(path, reading);
    ImageSet set{{path.string(), {}, {}, 0}, path.string(), std::move(images)};
    reading.labels = set.images.names;
    reading.height = set.images.pixels.size(1);
    reading.width = set.images.pixels.size(2);
    reading.channels = set.images.pixels.size(3);
    set.file.sha256 = digest_of_images(set.images);
    set.file.label_texts = label_counts(set.images);
    sets.push_back(std::move(set));
  }
  return sets;
}

// Moves a share of the images into a dev set: the same in every run and order, and equal ones on the same side.
void ImageTraining::hold_out() {
  const int64_t count = images_.size();
  const auto tell = [&](const std::string& line) {
    if (data_.speaks) fmt::print(stderr, "{}\n", line);
  };
  if (!data_.dev_share_given && count < kLeastImagesToHold) {
    return tell(fmt::format("no dev set: {} too few to hold some out unasked; give --dev or --dev-share",
                            how_many(count, "image is", "images are")));
  }
  std::vector<int64_t> kept, held;
  for (int64_t i = 0; i < count; ++i) {
    (nn::held_by_hash(bytes_of(images_, i), 100 * data_.dev_share) ? held : kept).push_back(i);
  }
  if (held.empty() || kept.empty()) {
    throw cli::UsageError(fmt::format("--dev-share {:g} holds {} of {} out; give --dev or another --dev-share",
                                      data_.dev_share, held.size(), how_many(count, "image")));
  }
  nn::LabelledImages held_images = chosen(images_, held);
  ImageSet dev{{"held out", {}, {}, 0}, "held out", std::move(held_images)};
  images_ = chosen(images_, kept);
  dev.file.sha256 = digest_of_images(dev.images);
  dev.file.label_texts = label_counts(dev.images);
  tell(fmt::format("dev set: {} of {} of --data, held out by a hash of the image (--dev-share {:g})", held.size(),
                   how_many(count, "image"), data_.dev_share));
  dev_.push_back(std::move(dev));
}

std::string ImageTraining::about() const {
  const Tensor& pixels = images_.pixels;
  const std::string network =
      more_.network == "vit"
          ? fmt::format("vision transformer of {} layers of width {}", data_.options.layers, data_.options.width)
          : fmt::format("residual network of {} stages", more_.widths.size());
  return fmt::format("{} of {} x {} pixels with {}, {}", how_many(images_.size(), "image"), pixels.size(2),
                     pixels.size(1), how_many(images_.names.size(), "label"), network);
}

std::vector<cli::DataFile> ImageTraining::data_files() const { return files_; }

std::vector<cli::DataFile> ImageTraining::dev_files() const {
  std::vector<cli::DataFile> files;
  for (const ImageSet& set : dev_) files.push_back(set.file);
  return files;
}

optim::TrainResult ImageTraining::train(const fs::path& out, const optim::OnProgress& on_progress,
                                        const optim::RunOptions& run) {
  return optim::train_images(images_, data_.options, more_, out, on_progress, run);
}

std::vector<cli::SetScores> ImageTraining::evaluate(const fs::path& folder) {
  const auto model = nn::ImageClassifier::load(folder);
  std::vector<cli::SetScores> scores;
  for (const ImageSet& set : dev_) scores.push_back(set_scores(set, optim::evaluate_images(*model, set.images)));
  return scores;
}

void ImageTraining::write_card(const fs::path& folder, const TaskFacts& facts) {
  std::vector<std::pair<std::string, nn::ConfusionMatrix>> matrices;
  if (!facts.dev.empty()) {
    const auto model = nn::ImageClassifier::load(folder);
    for (const ImageSet& set : dev_) {
      matrices.emplace_back(set.name, optim::evaluate_images(*model, set.images).matrix);
    }
  }
  write_confusion(folder, images_.names, matrices);
  cli::write_card(folder, image_card(folder, facts, matrices));
}

std::unique_ptr<TaskTraining> ImageRecipe::read(TaskData data) {
  return std::make_unique<ImageTraining>(std::move(data), arguments_);
}

}  // namespace qing::serve::image
