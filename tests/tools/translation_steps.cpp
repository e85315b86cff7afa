// Trains an encoder-decoder saved by transformers, so that tests/python/test_translation_training.py can compare the
// losses:
//   translation_steps FOLDER BATCHES.safetensors STEPS LR SMOOTHING f32|f64
// Batch I has the ids and the offsets of its sources, source_I and source_I_offsets, and of its targets with their end
// tokens, target_I and target_I_offsets. Step by step the batches come in turn. Prints one loss per step.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/translation_import.h>
#include <qing/optim/optimizer.h>

#include "../../benchmarks/translating/batch_file.h"

using namespace qing;

namespace {

int run(char** argv) {
  const nn::PretrainedTranslation loaded = nn::load_pretrained_translation(argv[1], 0);
  nn::TranslationModel& model = *loaded.model;
  const nn::SafetensorsFile file = nn::load_safetensors(argv[2]);
  const std::vector<nn::TranslationBatch> batches = benchmark::translation_batches(file, model.config().start_id);
  model.to(std::string_view(argv[6]) == "f64" ? DType::f64 : DType::f32);
  model.set_requires_grad(true);
  model.train();
  std::vector<Tensor> trained;
  for (auto& [name, parameter] : model.named_parameters()) {
    if (name == "output.bias") continue;  // a buffer in transformers, which is not trained
    trained.push_back(parameter);
  }
  optim::AdamW optimizer(trained, {.lr = std::stod(argv[4])});
  const double smoothing = std::stod(argv[5]);
  Generator rng(1);
  for (size_t step = 0; step < std::stoul(argv[3]); ++step) {
    const Tensor loss = model.loss(batches[step % batches.size()], smoothing, &rng);
    optimizer.zero_grad();
    backward(loss);
    optimizer.step();
    std::printf("%.17g\n", loss.item());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "usage: translation_steps FOLDER BATCHES STEPS LR SMOOTHING f32|f64\n");
    return 2;
  }
  try {
    return run(argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
