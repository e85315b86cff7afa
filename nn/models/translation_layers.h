// The layers of TranslationModel. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <qing/nn/layers/encoder_block.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/projected_attention.h>
#include <qing/nn/models/translation_config.h>
#include <qing/nn/module.h>
#include <qing/nn/ragged_batch.h>

namespace qing::nn {

inline constexpr const char* kTranslationModel = "TranslationModel";  ///< in errors

/// Attention whose products a decoder can take apart.
class TranslationAttention : public ProjectedAttention {
 public:
  /// Attention of a stack with so many heads; `own` is self-attention, which knows positions.
  TranslationAttention(const TranslationConfig& config, int64_t heads, bool own, Generator& rng);
  /// Queries [rows, heads·d], multiplied by √d if the configuration does not scale scores.
  Tensor queries(const Tensor& x) const override;
  /// Keys and values side by side: [rows, 2·heads·d].
  Tensor keys_values(const Tensor& x) const override { return ProjectedAttention::keys_values(x); }
  /// All three side by side: [rows, 3·heads·d].
  Tensor queries_keys_values(const Tensor& x) const override;
  /// Undefined. A decoder computes single steps in f32, and a whole text must get the same bits.
  Tensor mixed_in_bf16(const Tensor&, const Offsets&, const Tensor&, const Offsets&) const override { return {}; }
  /// Rows [rows, heads·d] of queries or keys, rotated if positions are rotary; positions i64 [rows].
  Tensor at_positions(const Tensor& rows, const Tensor& positions) const;

 private:
  double query_factor_;
};

/// The feed-forward of a layer.
class TranslationFeedForward : public Module {
 public:
  TranslationFeedForward(const TranslationConfig& config, int64_t hidden, Generator& rng);
  void visit(Visitor& visitor) override;
  Tensor add_to(const Tensor& x, const Sublayers& sublayers, const ResidualNorm& norm) const {
    return sublayers.add_feed_forward(x, norm, wide_, narrow_, gate_ ? &*gate_ : nullptr);
  }

 private:
  Linear wide_, narrow_;
  std::optional<Linear> gate_;
};

/// Self-attention and feed-forward.
class TranslationEncoderLayer : public Module {
 public:
  TranslationEncoderLayer(const TranslationConfig& config, Generator& rng);
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& x, const Offsets& offsets, Generator* rng, const Tensor& relative_bias) const;
  Tensor operator()(const Tensor& x, const Offsets& offsets, Generator* rng, const Tensor& relative_bias) const {
    return forward(x, offsets, rng, relative_bias);
  }

 private:
  TranslationAttention attention_;
  TranslationFeedForward feed_forward_;
  std::unique_ptr<ResidualNorm> attention_norm_, feed_forward_norm_;
  SublayerOptions sublayers_;
};

/// Self-attention, attention to the encoder's memory, and feed-forward.
class TranslationDecoderLayer : public Module {
 public:
  TranslationDecoderLayer(const TranslationConfig& config, Generator& rng);
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& x, const Offsets& offsets, const Tensor& memory, const Offsets& memory_offsets,
                 Generator* rng, const Tensor& relative_bias) const;
  Tensor operator()(const Tensor& x, const Offsets& offsets, const Tensor& memory, const Offsets& memory_offsets,
                    Generator* rng, const Tensor& relative_bias) const {
    return forward(x, offsets, memory, memory_offsets, rng, relative_bias);
  }
  /// The layer with attend(rows) and attend_memory(rows) as its attentions.
  template <class Attend, class AttendMemory>
  Tensor around(const Tensor& x, const Attend& attend, const AttendMemory& attend_memory,
                Generator* rng = nullptr) const {
    const Sublayers sublayers(*this, kTranslationModel, sublayers_, rng);
    const Tensor seen = sublayers.add(x, *attention_norm_, attend);
    return feed_forward_.add_to(sublayers.add(seen, *memory_norm_, attend_memory), sublayers, *feed_forward_norm_);
  }
  const TranslationAttention& attention() const { return attention_; }
  const TranslationAttention& memory_attention() const { return memory_attention_; }

 private:
  TranslationAttention attention_, memory_attention_;
  TranslationFeedForward feed_forward_;
  std::unique_ptr<ResidualNorm> attention_norm_, memory_norm_, feed_forward_norm_;
  SublayerOptions sublayers_;
};

}  // namespace qing::nn
