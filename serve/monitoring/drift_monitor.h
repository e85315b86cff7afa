// Recent texts of each model, for comparison with its reference texts.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include <qing/nn/models/data_profile.h>
#include <qing/serve/registry/registry.h>

namespace qing::serve {

/// Remembers the last texts of every loaded version by what was predicted, not by what they say. Safe to use from many
/// threads.
class DriftMonitor {
 public:
  /// A reading is over the last kTexts texts at least, once there were so many, and fewer than twice that.
  static constexpr std::int64_t kTexts = 2500;

  struct Reading {
    std::string model;
    std::int64_t version;
    std::shared_ptr<const nn::TextClassifier> classifier;  ///< its reference() is what to compare with
    nn::DataProfile recent;
  };

  /// Predictions have been checked.
  void add(const Model& model, std::span<const nn::Prediction> predictions);
  /// Of the versions that are loaded still.
  void for_each(const std::function<void(const Reading&)>& visit) const;

 private:
  // Two halves: when the current one is full it becomes the one before.
  struct Window {
    std::string model;
    std::int64_t version;
    nn::DataProfile before, current;
  };
  using Key = std::weak_ptr<const nn::TextClassifier>;

  mutable std::mutex mutex_;
  std::map<Key, Window, std::owner_less<Key>> windows_;
};

}  // namespace qing::serve
