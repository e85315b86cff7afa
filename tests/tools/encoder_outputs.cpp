// What a pretrained model of a Hugging Face directory gives for token ids, so that another program can compare: see
// tests/python/test_encoder_families.py. encoder_outputs TASK FOLDER BATCH OUT: TASK is sequence, tokens, mlm or
// sentence; BATCH is a safetensors file of ids (i32, end to end) and offsets (i64); OUT gets the tensor "outputs".
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/pretrained.h>
#include <qing/tensor/errors.h>

namespace {

using namespace qing;

nn::RaggedBatch batch_of(const Tensor& ids, const Tensor& offsets) {
  const auto all = ids.span<int32_t>();
  const auto bounds = offsets.span<int64_t>();
  std::vector<std::span<const int32_t>> sequences;
  for (size_t i = 0; i + 1 < bounds.size(); ++i) sequences.push_back(all.subspan(bounds[i], bounds[i + 1] - bounds[i]));
  return nn::RaggedBatch::of(sequences);
}

Tensor outputs(std::string_view task, const std::filesystem::path& folder, const nn::RaggedBatch& batch) {
  if (task == "sequence") return nn::load_sequence_classifier(folder)->forward(batch);
  if (task == "tokens") return nn::load_token_classifier(folder)->forward(batch);
  if (task == "mlm") return nn::load_masked_lm(folder)->forward(batch);
  return nn::load_sentence_encoder(folder)->forward(batch);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: encoder_outputs sequence|tokens|mlm|sentence FOLDER BATCH OUT\n");
    return 2;
  }
  try {
    const NoGradGuard guard;
    const auto batch = nn::load_safetensors(argv[3]).tensors;
    const Tensor found = outputs(argv[1], argv[2], batch_of(batch.at("ids"), batch.at("offsets")));
    nn::save_safetensors(argv[4], {.tensors = {{"outputs", found.contiguous()}}, .metadata = {}});
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
