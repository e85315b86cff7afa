// qing's side of benchmarks/train_vs_pytorch. Trains the classifier in a folder on batches of token ids. Prints a JSON
// object with the losses of all steps, the real tokens per second after the warm-up, and the peak memory.
//
//   training_qing MODEL BATCHES WARM STEPS LR DROPOUT f32|bf16
#include <fmt/format.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/optim/optimizer.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "timed_training.h"

namespace {

using namespace qing;

// Texts end to end: token ids "ids" i32, offsets of the texts in the ids "offsets" i64, "labels" i64, and offsets of
// the batches in the texts "batches" i64.
class Batches {
 public:
  explicit Batches(const std::filesystem::path& path) {
    const nn::SafetensorsFile file = nn::load_safetensors(path);
    ids_ = file.tensors.at("ids");
    offsets_ = file.tensors.at("offsets");
    labels_ = file.tensors.at("labels");
    batches_ = file.tensors.at("batches");
  }
  size_t size() const { return static_cast<size_t>(batches_.numel() - 1); }

  struct Batch {
    nn::RaggedBatch texts;
    Tensor labels;
  };
  Batch operator[](size_t i) const {
    const int64_t begin = batches_.data<int64_t>()[i], end = batches_.data<int64_t>()[i + 1];
    std::vector<std::span<const int32_t>> sequences;
    for (int64_t t = begin; t < end; ++t) {
      const int64_t* at = offsets_.data<int64_t>() + t;
      sequences.push_back(ids_.span<int32_t>().subspan(static_cast<size_t>(at[0]), static_cast<size_t>(at[1] - at[0])));
    }
    return {nn::RaggedBatch::of(sequences), labels_.slice(0, begin, end)};
  }

 private:
  Tensor ids_, offsets_, labels_, batches_;
};

// As in qing train, biases and norms have no weight decay.
std::vector<optim::ParameterGroup<optim::AdamWOptions>> groups_of(nn::Module& model, double lr) {
  std::vector<optim::ParameterGroup<optim::AdamWOptions>> groups = {{{}, {.lr = lr}},
                                                                    {{}, {.lr = lr, .weight_decay = 0}}};
  for (const Tensor& parameter : model.parameters())
    groups[parameter.dim() > 1 ? 0 : 1].parameters.push_back(parameter);
  return groups;
}

void run(std::span<char*> arguments) {
  if (arguments.size() != 7) throw ValueError("training_qing: MODEL BATCHES WARM STEPS LR DROPOUT f32|bf16");
  const std::filesystem::path folder = arguments[0];
  const Batches batches(arguments[1]);
  const int64_t warm = std::stoll(arguments[2]), steps = std::stoll(arguments[3]);
  nn::ClassifierConfig config = nn::ClassifierConfig::load(folder / "config.json");
  config.encoder.hidden_dropout_prob = config.encoder.attention_probs_dropout_prob = std::stod(arguments[5]);
  Generator rng(benchmark::kSeed);
  nn::EncoderForSequenceClassification model(config, rng);
  model.load_state_dict(nn::load_safetensors(folder / "model.safetensors").tensors);
  model.set_requires_grad(true);
  optim::AdamW optimizer(groups_of(model, std::stod(arguments[4])));

  optim::TrainerOptions options;
  options.precision = std::string(arguments[6]) == "bf16" ? DType::bf16 : DType::f32;
  options.rng = &rng;
  benchmark::train_timed(
      model, optimizer, batches, warm, steps, options,
      [&](const Batches::Batch& batch) { return cross_entropy(model.forward(batch.texts, &rng), batch.labels); },
      [](const Batches::Batch& batch) { return batch.texts.tokens(); });
}

}  // namespace

int main(int argc, char** argv) { return benchmark::main_of(argc, argv, run); }
