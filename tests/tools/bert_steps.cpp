// Trains a classifier saved by transformers repeatedly on one batch, so that tests/python/test_torch_trajectory.py can
// compare the losses. Usage: bert_steps FOLDER BATCH STEPS LR DTYPE. FOLDER has config.json and model.safetensors.
// BATCH is a safetensors file with ids (i32, end to end), offsets and labels (i64). Prints one loss per step.
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/optim/optimizer.h>

namespace {

qing::nn::RaggedBatch batch_of(const qing::Tensor& ids, const qing::Tensor& offsets) {
  const auto all = ids.span<int32_t>();
  const auto bounds = offsets.span<int64_t>();
  std::vector<std::span<const int32_t>> sequences;
  for (size_t i = 0; i + 1 < bounds.size(); ++i) sequences.push_back(all.subspan(bounds[i], bounds[i + 1] - bounds[i]));
  return qing::nn::RaggedBatch::of(sequences);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: bert_steps FOLDER BATCH STEPS LR f32|f64\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  qing::Generator rng(1);
  qing::nn::EncoderForSequenceClassification model(qing::nn::ClassifierConfig::load(folder / "config.json"), rng);
  model.to(std::string_view(argv[5]) == "f64" ? qing::DType::f64 : qing::DType::f32);
  model.load_state_dict(qing::nn::load_safetensors(folder / "model.safetensors").tensors);
  model.set_requires_grad(true);
  model.train();
  const auto batch = qing::nn::load_safetensors(argv[2]).tensors;
  const qing::nn::RaggedBatch texts = batch_of(batch.at("ids"), batch.at("offsets"));
  qing::optim::AdamW optimizer(model.parameters(), {.lr = std::stod(argv[4])});
  for (int step = 0; step < std::stoi(argv[3]); ++step) {
    const qing::Tensor loss = qing::cross_entropy(model.forward(texts, &rng), batch.at("labels"));
    optimizer.zero_grad();
    qing::backward(loss);
    optimizer.step();
    std::printf("%.17g\n", loss.item());
  }
}
