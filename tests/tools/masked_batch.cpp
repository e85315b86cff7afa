// The first batch of a pretraining, for comparison with `transformers`.
//   masked_batch MODEL TEXTS.txt BATCH SEED WHOLE_WORDS OUT.safetensors
// Writes ids and offsets of the masked windows, and rows and labels of the tokens to predict, all i32 but the offsets,
// which are i64.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/unlabelled_texts.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/encoder_config.h>
#include <qing/optim/classifier/starting_model.h>
#include <qing/optim/pretraining/masked_texts.h>

int main(int argc, char** argv) {
  using namespace qing;
  if (argc != 7) return 2;
  try {
    std::vector<std::string> texts;
    for (nn::Example& example : nn::read_unlabelled(argv[2])) texts.push_back(std::move(example.text));
    optim::TrainOptions options{.from = argv[1]};
    const nn::Tokenizer tokenizer =
        optim::starting_tokenizer(options, nn::EncoderConfig::load(options.from / "config.json"));
    const std::vector<optim::MaskedExample> all = optim::masked_examples(texts, tokenizer);
    const uint64_t seed = std::stoull(argv[4]);
    std::vector<size_t> order = nn::RandomSampler(all.size(), nn::RandomSamplerOptions{.seed = seed}).indices(0);
    order.resize(std::min(order.size(), static_cast<size_t>(std::stoull(argv[3]))));
    std::vector<optim::MaskedExample> batch;
    for (const size_t i : order) batch.push_back(all[i]);
    const optim::MaskedCollate collate(tokenizer, {.whole_words = std::string(argv[5]) == "1", .seed = seed});
    const optim::MaskedBatch made = collate(std::move(batch), {0, 0});
    const auto& offsets = made.tokens.offsets;
    nn::save_safetensors(
        argv[6],
        {.tensors = {{"ids", made.tokens.ids},
                     {"offsets", Tensor::from<int64_t>(std::span<const int64_t>(offsets), {std::ssize(offsets)})},
                     {"rows", made.rows},
                     {"labels", made.labels}},
         .metadata = {}});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
