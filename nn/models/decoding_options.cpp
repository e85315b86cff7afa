#include <qing/nn/models/decoding_options.h>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr int64_t kMostBeams = 64;

void check_option(const char* name, double value, double least, double most) {
  if (value >= least && value <= most) return;
  throw ValueError(fmt::format("DecodingOptions: {} is {}; it must be in [{}, {}]", name, value, least, most));
}

}  // namespace

void DecodingOptions::validate() const {
  constexpr double kMost = 1e9;
  check_option("beam_size", static_cast<double>(beam_size), 1, kMostBeams);
  check_option("max_tokens", static_cast<double>(max_tokens), 1, kMost);
  check_option("min_tokens", static_cast<double>(min_tokens), 0, kMost);
  check_option("length_penalty", length_penalty, -100, 100);
  check_option("best", static_cast<double>(best), 1, static_cast<double>(beam_size));
  check_option("repetition_penalty", repetition_penalty, 0.01, 100);
  check_option("no_repeat_ngram_size", static_cast<double>(no_repeat_ngram_size), 0, kMost);
  check_option("temperature", temperature, 0, 1e6);
  check_option("top_k", static_cast<double>(top_k), 0, kMost);
  if (!(top_p > 0 && top_p <= 1))
    throw ValueError(fmt::format("DecodingOptions: top_p is {}; it must be in (0, 1]", top_p));
  if (temperature > 0 && beam_size > 1) {
    throw ValueError(
        fmt::format("DecodingOptions: temperature is {} with beam_size {}; tokens are drawn with beam_size "
                    "1 only",
                    temperature, beam_size));
  }
}

}  // namespace qing::nn
