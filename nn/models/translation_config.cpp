#include <qing/nn/models/translation_config.h>

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

// Far above any model that fits a machine: keeps products of sizes inside int64.
constexpr int64_t kMostOfSize = int64_t{1} << 24;

void check_size(const char* field, int64_t value, int64_t least = 1) {
  if (value >= least && value <= kMostOfSize) return;
  throw ValueError(
      fmt::format("TranslationConfig: {} is {}; it must be in [{}, {}]", field, value, least, kMostOfSize));
}

void check_rate(const char* field, double value) {
  if (value >= 0 && value < 1) return;
  throw ValueError(fmt::format("TranslationConfig: {} is {}; it must be in [0, 1)", field, value));
}

void check_heads(const TranslationConfig& c, const char* field, int64_t heads) {
  if (c.head_width == 0 && c.width % heads != 0) {
    throw ValueError(fmt::format("TranslationConfig: {} is {}; it must divide the width {}", field, heads, c.width));
  }
  if (c.positions == PositionKind::rotary && c.head_width_of(heads) % 2 != 0) {
    throw ValueError(
        fmt::format("TranslationConfig: {} is {}, so a head has {} columns; rotary positions need an even "
                    "number",
                    field, heads, c.head_width_of(heads)));
  }
}

void check_positive(const char* field, double value) {
  if (value > 0 && std::isfinite(value)) return;
  throw ValueError(fmt::format("TranslationConfig: {} is {}; it must be positive and finite", field, value));
}

}  // namespace

void TranslationConfig::validate() const {
  for (const auto& [field, value] : {std::pair{"vocab_size", vocab_size},
                                     {"width", width},
                                     {"encoder_layers", encoder_layers},
                                     {"decoder_layers", decoder_layers},
                                     {"encoder_heads", encoder_heads},
                                     {"decoder_heads", decoder_heads},
                                     {"encoder_hidden", encoder_hidden},
                                     {"decoder_hidden", decoder_hidden},
                                     {"max_tokens", max_tokens}}) {
    check_size(field, value);
  }
  check_size("head_width", head_width, 0);
  check_size("position_offset", position_offset, 0);
  check_heads(*this, "encoder_heads", encoder_heads);
  check_heads(*this, "decoder_heads", decoder_heads);
  check_positive("rotary_base", rotary_base);
  check_positive("norm_eps", norm_eps);
  if (positions == PositionKind::relative) {
    check_size("relative_buckets", relative_buckets, 4);
    if (relative_buckets % 4 != 0 || !(relative_max_distance > static_cast<double>(relative_buckets) / 2) ||
        !std::isfinite(relative_max_distance)) {
      throw ValueError(
          fmt::format("TranslationConfig: relative_buckets is {} and relative_max_distance {}; the first "
                      "must be a multiple of 4, and the second finite and above its half",
                      relative_buckets, relative_max_distance));
    }
  }
  if (positions == PositionKind::sinusoidal_tensor2tensor && width < 4) {
    throw ValueError(fmt::format("TranslationConfig: width is {}; these positions need 4 at least", width));
  }
  check_rate("dropout", dropout);
  check_rate("attention_dropout", attention_dropout);
  check_rate("activation_dropout", activation_dropout);
  if (initializer_range && !(*initializer_range >= 0 && std::isfinite(*initializer_range))) {
    throw ValueError(fmt::format("TranslationConfig: initializer_range is {}; it must be finite and at least 0",
                                 *initializer_range));
  }
  for (const auto& [field, id] : {std::pair{"pad_id", pad_id}, {"eos_id", eos_id}, {"start_id", start_id}}) {
    if (id >= 0 && id < vocab_size) continue;
    throw ValueError(fmt::format("TranslationConfig: {} is {}; the vocabulary has {} entries", field, id, vocab_size));
  }
}

}  // namespace qing::nn
