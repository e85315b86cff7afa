// Attribution of a classifier's decision to tokens: integrated gradients (Sundararajan, Taly & Yan 2017) over the word
// embeddings.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

struct IntegratedGradientsOptions {
  double tolerance = 1e-3;   ///< maximum completeness gap
  int32_t first_steps = 16;  ///< points of the path; doubled while the gap is above the tolerance
  int32_t most_steps = 512;
  int64_t batch_tokens = 4096;  ///< maximum tokens per forward and backward (at least one text)
};

struct Attribution {
  std::vector<double> weights;  ///< one per token; 0 for [CLS] and [SEP]
  /// d score / d added logit, averaged over the path. Multiplied by the added logits this is their contribution.
  std::vector<double> logit_slopes;
  double score = 0;     ///< probability of the label for the text
  double baseline = 0;  ///< the same with every token but [CLS] and [SEP] replaced by [PAD]
  double gap = 0;       ///< |all contributions - (score - baseline)|: the error of the quadrature
  int32_t steps = 0;
};

/// An attribution for each encoding and the label asked for. The path from the baseline's embeddings to the text's is
/// integrated with Gauss-Legendre points; the weights of a text sum to score - baseline up to `gap`, which is at most
/// `tolerance` unless most_steps were too few. A text's attribution does not depend on the others. The model must be in
/// evaluation mode. ValueError when the spans differ in length or options are not positive, IndexError on a label or an
/// id outside the model's, ShapeError for added logits of another shape. `added_logits` [texts, labels], if defined,
/// are what another model adds to this one's logits; they grow along the path from 0. Thread-safe; memory for
/// batch_tokens, time in proportion to steps times tokens.
std::vector<Attribution> integrated_gradients(const EncoderForSequenceClassification& model,
                                              std::span<const Encoding> encodings, std::span<const int32_t> labels,
                                              int32_t pad_id, const Tensor& added_logits = {},
                                              const IntegratedGradientsOptions& options = {});

}  // namespace qing::nn
