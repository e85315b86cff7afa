// The task "image": classification of pictures.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <qing/nn/images/decode.h>
#include <qing/serve/tasks/image/image_routes.h>
#include <qing/serve/tasks/image/image_training.h>
#include <qing/serve/tasks/task.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace image {
namespace {

// Pictures of a command that are in memory at a time.
constexpr size_t kTogether = 64;

class ImageTask final : public Task {
 public:
  std::string_view name() const override { return nn::kImage; }
  const char* about() const override { return "Train an image classifier on labelled images"; }
  optim::OptionUse options() const override { return optim::OptionUse::image; }
  optim::TrainOptions defaults() const override {
    optim::TrainOptions options;
    options.layers = 4;
    options.batch = 128;
    options.epochs = 15;
    options.lr = 0.1;
    options.warmup = 0.2;
    options.weight_decay = 5e-4;
    options.clip = 1e4;  // in effect none: batch norm bounds the effect of a gradient
    options.dropout = 0;
    options.label_smoothing = 0.1;
    return options;
  }
  const char* data_help() const override {
    return "Training data: NAME-images-idx3-ubyte (also .gz) or NAME-images.npy with its labels beside it, a folder "
           "with a folder of PNG and JPEG files for each label, or a table with the columns path and label";
  }
  bool holds_out() const override { return true; }
  cli::TrainingUnits units() const override { return {.examples = "images", .work = "images"}; }
  std::unique_ptr<TaskRecipe> recipe() const override { return std::make_unique<ImageRecipe>(); }

  std::shared_ptr<const nn::TaskModel> load(const std::filesystem::path& folder, DType precision) const override {
    return nn::ImageClassifier::load(folder, precision);
  }
  // Inputs are paths of pictures.
  std::vector<std::string> predict(const nn::TaskModel& model, std::span<const std::string> inputs,
                                   bool json) const override {
    const auto& classifier = dynamic_cast<const nn::ImageClassifier&>(model);
    std::vector<nn::ImagePrediction> predictions;
    for (size_t first = 0; first < inputs.size(); first += kTogether) {
      // Of the network's size: the pictures of the files may have millions of pixels.
      std::vector<nn::Image> images;
      for (const std::string& path : inputs.subspan(first, std::min(kTogether, inputs.size() - first))) {
        try {
          images.push_back(classifier.preprocessing().fitted(nn::decode_image(read_file(path))));
        } catch (const nn::ImageError& error) { throw DataError(fmt::format("{}: {}", path, error.what())); }
      }
      std::ranges::move(classifier.predict(images), std::back_inserter(predictions));
    }
    std::vector<std::string> lines;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto label = static_cast<size_t>(predictions[i].label);
      if (!json) {
        lines.push_back(
            fmt::format("{}\t{}\t{:.4f}", inputs[i], classifier.labels()[label], predictions[i].scores[label]));
        continue;
      }
      JsonWriter writer;
      write_image_prediction(writer, classifier, predictions[i]);
      std::string line = writer.take();
      JsonWriter place;
      place.value(inputs[i]);
      lines.push_back("{\"path\":" + place.take() + "," + line.substr(1));
    }
    return lines;
  }
  std::vector<Route> routes(Service&) const override { return {}; }
  Routed::Run answer(Service& service, const Model& model, const Call& call) const override {
    return predict_pictures(service, model, call);
  }
  Routed::Run infer(Service& service, const Model& model, const Call& call) const override {
    return infer_pictures(service, model, call);
  }
  std::string_view route() const override { return "POST /v1/models/{name}/predict"; }
};

}  // namespace
}  // namespace image

std::unique_ptr<const Task> make_image() { return std::make_unique<image::ImageTask>(); }

}  // namespace qing::serve
