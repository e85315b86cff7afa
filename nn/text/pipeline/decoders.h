// From tokens back to a text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <qing/nn/text/pipeline/text_pattern.h>

namespace qing::nn::text {

/// Immutable; thread-safe.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Changes the tokens. The decoded text is the tokens joined.
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

std::unique_ptr<Decoder> decoder_sequence(std::vector<std::unique_ptr<Decoder>> stages);
std::unique_ptr<Decoder> wordpiece_decoder(std::string prefix, bool cleanup);
std::unique_ptr<Decoder> byte_level_decoder();
std::unique_ptr<Decoder> metaspace_decoder(char32_t replacement, bool prepended);
std::unique_ptr<Decoder> bpe_decoder(std::string suffix);
std::unique_ptr<Decoder> byte_fallback_decoder();
std::unique_ptr<Decoder> fuse_decoder();
std::unique_ptr<Decoder> strip_decoder(char32_t content, size_t start, size_t stop);
std::unique_ptr<Decoder> replace_decoder(TextPattern pattern, std::string content);

}  // namespace qing::nn::text
