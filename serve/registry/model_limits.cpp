#include "model_limits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

struct Count {
  std::string_view name;
  size_t ModelLimits::*own;
  size_t Limits::*server;
};
constexpr std::array<Count, 5> kCounts = {{
    {"texts", &ModelLimits::texts, &Limits::texts},
    {"explained_texts", &ModelLimits::explained_texts, &Limits::explained_texts},
    {"text_bytes", &ModelLimits::text_bytes, &Limits::text_bytes},
    {"queue_texts", &ModelLimits::queue_texts, &Limits::queue_texts},
    {"queue_tokens", &ModelLimits::queue_tokens, &Limits::queue_tokens},
}};
constexpr std::string_view kTime = "predict_time";

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& what) {
  throw DataError(fmt::format("{}: {}", file.string(), what));
}

size_t count_of(const std::filesystem::path& file, std::string_view name, const json::value& value) {
  if (!value.is_int64() || value.get_int64() < 1) refuse(file, fmt::format("{}: must be a whole number from 1", name));
  return static_cast<size_t>(value.get_int64());
}

std::chrono::milliseconds time_of(const std::filesystem::path& file, const json::value& value) {
  constexpr double kMostSeconds = 1e6;
  const double seconds = value.is_number() ? value.to_number<double>() : 0;
  if (!(seconds >= 0.001 && seconds <= kMostSeconds)) {
    refuse(file, fmt::format("{}: must be seconds from 0.001 to {}", kTime, kMostSeconds));
  }
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

}  // namespace

Limits ModelLimits::within(const Limits& server) const {
  Limits limits = server;
  for (const Count& count : kCounts) limits.*count.server = std::min(server.*count.server, this->*count.own);
  limits.predict_time = std::min(server.predict_time, predict_time);
  return limits;
}

ModelLimits ModelLimits::read(const std::filesystem::path& file) {
  ModelLimits limits;
  if (!std::filesystem::exists(file)) return limits;
  const std::string text = read_file(file);
  json::value parsed;
  try {
    parsed = nn::parse_file_json(text);
  } catch (const DataError& error) { refuse(file, error.what()); }
  if (!parsed.is_object()) refuse(file, R"(not a JSON object; write one such as {"queue_texts": 512})");
  for (const auto& [key, value] : parsed.get_object()) {
    const std::string_view name(key.data(), key.size());
    const auto known = std::ranges::find(kCounts, name, &Count::name);
    if (known != kCounts.end()) {
      limits.*known->own = count_of(file, name, value);
    } else if (name == kTime) {
      limits.predict_time = time_of(file, value);
    } else {
      refuse(file,
             fmt::format("{}: no such limit of a model; there are texts, explained_texts, text_bytes, queue_texts, "
                         "queue_tokens and predict_time",
                         name));
    }
  }
  return limits;
}

}  // namespace qing::serve
