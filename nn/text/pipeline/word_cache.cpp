#include <qing/nn/text/pipeline/word_cache.h>

#include <algorithm>
#include <cstring>

namespace qing::nn::text {

WordCache& WordCache::of_thread(uint64_t owner) {
  thread_local WordCache cache;
  if (cache.owner_ != owner) {
    cache.owner_ = owner;
    cache.slots_.assign(kSlots, {});
  }
  return cache;
}

void WordCache::tokenize(std::string_view word, const TokenModel& model, std::vector<Token>& tokens) {
  if (word.size() > kMostBytes) return model.tokenize(word, tokens);
  const uint64_t hash = hash_bytes(word);
  Slot& slot = slots_[hash % kSlots];
  if (slot.bytes == word.size() && slot.hash == hash && std::memcmp(slot.word, word.data(), word.size()) == 0) {
    for (size_t i = 0; i < slot.count; ++i) tokens.push_back({slot.ids[i], slot.begins[i], slot.ends[i]});
    return;
  }
  const size_t first = tokens.size();
  model.tokenize(word, tokens);
  const size_t count = tokens.size() - first;
  if (count > kMostTokens) return;
  slot.hash = hash;
  slot.bytes = static_cast<uint8_t>(word.size());
  slot.count = static_cast<uint8_t>(count);
  std::memcpy(slot.word, word.data(), word.size());
  for (size_t i = 0; i < count; ++i) {
    slot.ids[i] = tokens[first + i].id;
    slot.begins[i] = static_cast<uint8_t>(tokens[first + i].begin);
    slot.ends[i] = static_cast<uint8_t>(tokens[first + i].end);
  }
}

}  // namespace qing::nn::text
