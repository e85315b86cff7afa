#include <qing/optim/classifier/finetune.h>

#include <algorithm>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/pretrained.h>

namespace qing::optim {

TrainOptions fine_tuning_options(const std::filesystem::path& from) {
  const nn::ClassifierConfig config = nn::ClassifierConfig::load_for_fine_tuning(from / nn::kConfigFile);
  TrainOptions options{.batch = 32, .epochs = 3};
  options.from = from;
  options.max_length = std::min<int64_t>(512, config.encoder.max_tokens());
  options.lr = std::min(5e-4, 5e-5 * 768 / static_cast<double>(config.encoder.hidden_size));
  if (config.labels.empty()) return options;
  options.labels = config.labels;
  options.multi_label = config.problem == nn::Problem::multi_label ? 1 : 0;
  options.ordinal = config.problem == nn::Problem::ordinal ? 1 : 0;
  options.regression = config.problem == nn::Problem::regression ? 1 : 0;
  return options;
}

TrainResult finetune(const std::filesystem::path& from, std::span<const nn::Example> examples,
                     const std::filesystem::path& out) {
  return finetune(from, examples, out, fine_tuning_options(from));
}

TrainResult finetune(const std::filesystem::path& from, std::span<const nn::Example> examples,
                     const std::filesystem::path& out, TrainOptions options) {
  options.from = from;
  return train_classifier(examples, options, out);
}

}  // namespace qing::optim
