// A cache of the tokens of recent words, one per thread: few words make most of a text.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <qing/nn/text/pipeline/token_model.h>

namespace qing::nn::text {

/// Used by one thread. It returns exactly the model's tokens, so results do not depend on the cache.
class WordCache {
 public:
  /// The cache of this thread, empty if another tokenizer used it last. `owner` is not 0.
  static WordCache& of_thread(uint64_t owner);

  /// Appends the word's tokens.
  void tokenize(std::string_view word, const TokenModel& model, std::vector<Token>& tokens);

 private:
  static constexpr size_t kSlots = 4096, kMostBytes = 40, kMostTokens = 8;
  struct Slot {
    uint64_t hash = 0;
    uint8_t bytes = 0, count = 0;
    char word[kMostBytes];
    uint8_t begins[kMostTokens], ends[kMostTokens];
    int32_t ids[kMostTokens];
  };

  uint64_t owner_ = 0;
  std::vector<Slot> slots_;
};

}  // namespace qing::nn::text
