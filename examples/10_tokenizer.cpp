// Trains a vocabulary of pieces of words, and shows what a tokenizer makes of texts.
#include <qing/qing.h>

#include <cstdio>
#include <string>
#include <vector>

int main() try {
  using namespace qing;
  const std::vector<std::string> texts = {"a slow car is slower than a fast car", "the slowest car is the lowest",
                                          "a low tower is lower than a high tower", "the fastest car is fast"};
  const nn::Tokenizer tokenizer(nn::train_wordpiece(texts, 64), {.max_length = 10});
  std::printf("%d entries\n", tokenizer.vocab_size());

  for (const char* text : {"A fast tower", "the slow lowest Fastest", "low & high", "a a a a a a a a a a a a"}) {
    const nn::Encoding encoding = tokenizer.encode(text);
    std::printf("\n%s%s\n", text, encoding.truncated ? "   (cut off)" : "");
    for (size_t i = 0; i < encoding.ids.size(); ++i) {
      const auto [begin, end] = encoding.offsets[i];  // bytes of the text
      std::printf(" %s=%d[%u,%u)", tokenizer.token(encoding.ids[i]).c_str(), encoding.ids[i], begin, end);
    }
    std::printf("\n%s\n", tokenizer.decode(encoding.ids).c_str());
  }

  // A model computes a batch of texts of different lengths as it is: the ids end to end, and where each text begins.
  const std::vector<std::vector<int32_t>> ids = {tokenizer.encode("a fast car").ids, tokenizer.encode("slower").ids};
  const nn::RaggedBatch batch = nn::collate_ragged(ids);
  std::printf("\n%zu texts of together %lld tokens\n", ids.size(), static_cast<long long>(batch.ids.numel()));
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
