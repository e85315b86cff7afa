// qing's side of benchmarks/translation_training_vs_pytorch. Trains an encoder-decoder of transformers on batches of
// pairs of token ids. Prints a JSON object with the losses of all steps, the real tokens (of sources and targets) per
// second after the warm-up, and the peak memory.
//
//   translation_training_qing MODEL BATCHES WARM STEPS LR DROPOUT SMOOTHING
#include <fmt/format.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/translation_import.h>
#include <qing/optim/optimizer.h>

#include <span>
#include <string>
#include <vector>

#include "../training/timed_training.h"
#include "batch_file.h"

namespace {

using namespace qing;

// As in qing train, biases and norms have no weight decay, and the fixed bias of the logits is not trained.
std::vector<optim::ParameterGroup<optim::AdamWOptions>> groups_of(nn::Module& model, double lr) {
  std::vector<optim::ParameterGroup<optim::AdamWOptions>> groups = {{{}, {.lr = lr}},
                                                                    {{}, {.lr = lr, .weight_decay = 0}}};
  for (const auto& [name, parameter] : model.named_parameters()) {
    if (name != "output.bias") groups[parameter.dim() > 1 ? 0 : 1].parameters.push_back(parameter);
  }
  return groups;
}

void run(std::span<char*> arguments) {
  if (arguments.size() != 7) {
    throw ValueError("translation_training_qing: MODEL BATCHES WARM STEPS LR DROPOUT SMOOTHING");
  }
  const nn::PretrainedTranslation loaded = nn::load_pretrained_translation(arguments[0], std::stod(arguments[5]));
  nn::TranslationModel& model = *loaded.model;
  const nn::SafetensorsFile file = nn::load_safetensors(arguments[1]);
  const std::vector<nn::TranslationBatch> batches = benchmark::translation_batches(file, model.config().start_id);
  const int64_t warm = std::stoll(arguments[2]), steps = std::stoll(arguments[3]);
  const double smoothing = std::stod(arguments[6]);
  model.set_requires_grad(true);
  model.train();
  optim::AdamW optimizer(groups_of(model, std::stod(arguments[4])));
  Generator rng(benchmark::kSeed);
  optim::TrainerOptions options;
  options.rng = &rng;
  benchmark::train_timed(
      model, optimizer, batches, warm, steps, options,
      [&](const nn::TranslationBatch& batch) { return model.loss(batch, smoothing, &rng); },
      [](const nn::TranslationBatch& batch) { return batch.source.tokens() + batch.target.tokens(); });
}

}  // namespace

int main(int argc, char** argv) { return benchmark::main_of(argc, argv, run); }
