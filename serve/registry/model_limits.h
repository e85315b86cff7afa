// Limits of a model's own, below the server's.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <limits>

#include <qing/serve/common/limits.h>

namespace qing::serve {

/// What a model allows; of each limit the lower one of the model's and the server's counts.
struct ModelLimits {
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  std::size_t texts = kNone;
  std::size_t explained_texts = kNone;
  std::size_t text_bytes = kNone;
  std::size_t queue_texts = kNone;
  std::size_t queue_tokens = kNone;
  std::chrono::milliseconds predict_time = std::chrono::milliseconds::max();

  /// The server's limits with these where they are lower.
  Limits within(const Limits& server) const;

  static constexpr const char* kFile = "limits.json";
  /// From an object such as {"queue_texts": 512, "predict_time": 0.5} with times in seconds; none without a file.
  /// DataError for anything else, naming the file and the field; IoError when the file cannot be read.
  static ModelLimits read(const std::filesystem::path& file);
};

}  // namespace qing::serve
