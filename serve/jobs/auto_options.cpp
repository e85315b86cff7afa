#include "auto_options.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/sentence_embedding.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/serve/runs/training_choice.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

std::string given_text(const json::object& given, std::string_view name) {
  const json::value* values = given.if_contains(name);
  return values == nullptr ? std::string() : std::string(values->as_array().at(0).as_string());
}

double number_or(const json::object& hyperparameters, std::string_view name, double automatic) {
  const json::value* value = hyperparameters.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : automatic;
}

}  // namespace

Base look_at_base(const std::filesystem::path& folder) {
  if (nn::holds_sentence_embedding(folder)) return {{}, nn::EncoderConfig::load(folder / "config.json").hidden_size};
  const nn::ClassifierConfig config = nn::ClassifierConfig::load(folder / "config.json");
  return {config.labels, config.encoder.hidden_size, config.ngram_head, config.problem};
}

AutoOptions auto_options(const Base& base, size_t texts, bool same_labels, nn::Problem problem,
                         const json::object& given, const json::object& hyperparameters) {
  const TrainingChoice choice = training_choice(base.width, texts);
  AutoOptions result;
  const auto whole = [&](std::string_view option, std::string_view hyperparameter, std::int64_t automatic) {
    const std::string text = given_text(given, option);
    const auto number =
        text.empty()
            ? static_cast<std::int64_t>(number_or(hyperparameters, hyperparameter, static_cast<double>(automatic)))
            : std::stoll(text);
    result.options.emplace(option, std::to_string(number));
    result.hyperparameters[hyperparameter] = number;
    return number;
  };
  const std::int64_t epochs = whole("epochs", "n_epochs", choice.epochs);
  const std::int64_t batch = whole("batch", "batch_size", choice.batch);
  const double multiplier = number_or(hyperparameters, "learning_rate_multiplier", 1);
  const std::string lr = given_text(given, "lr");
  result.options.emplace("lr", lr.empty() ? fmt::format("{}", choice.lr * multiplier) : lr);
  result.hyperparameters["learning_rate_multiplier"] = multiplier;
  optim::TrainOptions options;
  options.batch = batch;
  result.steps_of_epoch = optim::batches_of_epoch(options, texts);
  result.steps = epochs * result.steps_of_epoch;
  if (const std::string most = given_text(given, "max-steps"); !most.empty() && std::stoll(most) > 0) {
    result.steps = std::min<std::int64_t>(result.steps, std::stoll(most));
  }
  // A kill loses at most a twentieth of the training, and writing checkpoints takes little of its time.
  if (!given.contains("checkpoint-every")) {
    result.options.emplace("checkpoint-every", std::to_string(std::clamp<std::int64_t>(result.steps / 20, 50, 500)));
  }
  const bool keeps_ngrams = base.ngrams && same_labels;
  const bool may_have_ngrams = problem != nn::Problem::regression && !base.ngrams;
  if (!keeps_ngrams && may_have_ngrams && !given.contains("ngrams")) {
    result.options.emplace("ngrams", texts < 5'000 ? "2" : "6");
  }
  return result;
}

}  // namespace qing::serve
