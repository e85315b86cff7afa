// Limits of one model, on top of those of the server.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <limits>

#include <qing/serve/common/limits.h>

namespace qing::serve {

/// The limits of one model. The lower of the model's and the server's limit applies.
struct ModelLimits {
  static constexpr size_t kNone = std::numeric_limits<size_t>::max();

  size_t texts = kNone;
  size_t explained_texts = kNone;
  size_t text_bytes = kNone;
  size_t queue_texts = kNone;
  size_t queue_tokens = kNone;
  std::chrono::milliseconds predict_time = std::chrono::milliseconds::max();

  /// The minimum of each limit here and in `server`.
  Limits within(const Limits& server) const;

  static constexpr const char* kFile = "limits.json";
  /// Reads an object such as {"queue_texts": 512, "predict_time": 0.5}, with times in seconds. Without a file there are
  /// no limits. DataError names the file and the invalid field; IoError when the file cannot be read.
  static ModelLimits read(const std::filesystem::path& file);
};

}  // namespace qing::serve
