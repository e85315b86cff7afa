#include "prediction_cache.h"

#include <functional>
#include <iterator>

namespace qing::serve {
namespace {

using Handle = std::shared_ptr<const nn::TextClassifier>;

size_t hash_of(const nn::TextClassifier* model, std::string_view text) {
  constexpr size_t kOdd = 0x9e3779b97f4a7c15U;
  return std::hash<std::string_view>()(text) ^ (std::hash<const void*>()(model) * kOdd);
}

// Approximate memory of the map and list nodes of an entry, in bytes.
constexpr size_t kOverhead = 192;

}  // namespace

PredictionCache::Entries::iterator PredictionCache::locate(size_t hash, const Handle& model, std::string_view text) {
  const auto [begin, end] = places_.equal_range(hash);
  for (auto place = begin; place != end; ++place) {
    const Entry& entry = *place->second;
    const bool same_model = !entry.model.owner_before(model) && !model.owner_before(entry.model);
    if (same_model && entry.text == text) return place->second;
  }
  return entries_.end();
}

std::optional<nn::Prediction> PredictionCache::find(const Handle& model, std::string_view text) {
  if (!enabled()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto entry = locate(hash_of(model.get(), text), model, text);
  if (entry == entries_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, entry);
  return entry->prediction;
}

void PredictionCache::insert(const Handle& model, std::string_view text, const nn::Prediction& prediction) {
  const size_t floats = prediction.scores.size() + prediction.logits.size() + prediction.embedding.size();
  const size_t bytes =
      kOverhead + text.size() + floats * sizeof(float) + prediction.labels.size() * sizeof(std::int32_t);
  if (bytes > most_bytes_) return;
  const size_t hash = hash_of(model.get(), text);
  const std::lock_guard lock(mutex_);
  if (locate(hash, model, text) != entries_.end()) return;
  entries_.push_front({model, std::string(text), prediction, bytes, hash});
  places_.emplace(hash, entries_.begin());
  bytes_ += bytes;
  while (bytes_ > most_bytes_) forget_last();
}

void PredictionCache::forget_last() {
  const auto last = std::prev(entries_.end());
  const auto [begin, end] = places_.equal_range(last->hash);
  for (auto place = begin; place != end; ++place) {
    if (place->second != last) continue;
    places_.erase(place);
    break;
  }
  bytes_ -= last->bytes;
  entries_.erase(last);
}

}  // namespace qing::serve
