// `qing train --task image`: labelled images, the training of a classifier, its scores and its card.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <qing/nn/images/image_data.h>
#include <qing/optim/images/train_images.h>
#include <qing/serve/tasks/task_training.h>

namespace qing::serve::image {

/// The recipe's own options, as the command line gives them.
struct ImageArguments {
  std::string network = "resnet", widths = "32,64,128", pooling = "cls", optimizer = "sgd", decay = "cosine";
  std::string image_size, fit = "stretch", bad_images = "stop";
  int64_t blocks = 1, patch = 4, channels = 0, crop_padding = 2;
  double momentum = 0.9, flip = 0.5, erase = 0, mixup = 0;
  std::vector<std::string> map;  ///< rules of nn::LabelMap
};

/// The arguments as the recipe takes them. UsageError naming the option.
optim::ImageOptions image_options(const ImageArguments& arguments);
/// How the arguments say that images are read. UsageError naming the option.
nn::ImageDataOptions reading_options(const ImageArguments& arguments);

/// Images of a file or folder, or those that were held out.
struct ImageSet {
  cli::DataFile file;
  std::string name;  ///< in reports
  nn::LabelledImages images;
};

class ImageTraining final : public TaskTraining {
 public:
  /// Reads the images, and holds some out where no dev set is given, by a hash of each. The first file's size, channels
  /// and labels are those of all. IoError; DataError; UsageError.
  ImageTraining(TaskData data, const ImageArguments& arguments);

  std::string about() const override;
  std::vector<cli::DataFile> data_files() const override;
  std::vector<cli::DataFile> dev_files() const override;
  bool has_dev() const override { return !dev_.empty(); }
  optim::TrainResult train(const std::filesystem::path& out, const optim::OnProgress& on_progress,
                           const optim::RunOptions& run) override;
  std::vector<cli::SetScores> evaluate(const std::filesystem::path& folder) override;
  std::string measure() const override { return "accuracy"; }
  void write_card(const std::filesystem::path& folder, const TaskFacts& facts) override;

 private:
  void hold_out();
  std::vector<ImageSet> read(const std::vector<std::filesystem::path>& paths, nn::ImageDataOptions& reading) const;

  const TaskData data_;
  const optim::ImageOptions more_;
  std::vector<cli::DataFile> files_;
  nn::LabelledImages images_;  // of all files
  std::vector<ImageSet> dev_;
};

class ImageRecipe final : public TaskRecipe {
 public:
  std::vector<TaskOption> options() override;
  std::unique_ptr<TaskTraining> read(TaskData data) override;

 private:
  ImageArguments arguments_;
};

}  // namespace qing::serve::image
