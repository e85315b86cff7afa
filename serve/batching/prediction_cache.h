// A cache of predictions.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <qing/nn/models/text_classifier.h>

namespace qing::serve {

/// Thread-safe. An LRU cache bounded in bytes. A prediction depends only on the model and the text, so a cached one is
/// bit-identical to a computed one. The cache keeps the texts in memory.
class PredictionCache {
 public:
  /// 0 bytes disables the cache.
  explicit PredictionCache(size_t bytes) : most_bytes_(bytes) {}

  std::optional<nn::Prediction> find(const std::shared_ptr<const nn::TextClassifier>& model, std::string_view text);
  void insert(const std::shared_ptr<const nn::TextClassifier>& model, std::string_view text,
              const nn::Prediction& prediction);
  bool enabled() const { return most_bytes_ > 0; }

 private:
  struct Entry {
    // Not a raw pointer: a later model may have the same address.
    std::weak_ptr<const nn::TextClassifier> model;
    std::string text;
    nn::Prediction prediction;
    size_t bytes;
    size_t hash;
  };
  using Entries = std::list<Entry>;

  const size_t most_bytes_;
  std::mutex mutex_;
  Entries entries_;                                            // most recently used first
  std::unordered_multimap<size_t, Entries::iterator> places_;  // by hash of model and text
  size_t bytes_ = 0;

  Entries::iterator locate(size_t hash, const std::shared_ptr<const nn::TextClassifier>& model, std::string_view text);
  void forget_last();
};

}  // namespace qing::serve
