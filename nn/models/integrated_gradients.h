// Attribution of a classifier's decision to tokens: integrated gradients (Sundararajan, Taly & Yan 2017) over the word
// embeddings.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <qing/nn/models/bert.h>
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

/// Returns an attribution for each encoding and its label. The path from the embeddings of the baseline to those of the
/// text is integrated with Gauss-Legendre points. The weights of a text sum to score - baseline up to `gap`, which is
/// at most `tolerance` unless most_steps is too small. The attribution of a text does not depend on other texts. The
/// model must be in evaluation mode. `added_logits` [texts, labels], if defined, are the logits that another model adds
/// to this model's. They grow along the path from 0. ValueError when the spans differ in length or options are not
/// positive, IndexError for a label or an id outside the model's range, ShapeError for added logits of another shape.
/// Thread-safe. Memory is bounded by batch_tokens, and time is proportional to steps times tokens.
std::vector<Attribution> integrated_gradients(const BertForSequenceClassification& model,
                                              std::span<const Encoding> encodings, std::span<const int32_t> labels,
                                              int32_t pad_id, const Tensor& added_logits = {},
                                              const IntegratedGradientsOptions& options = {});

}  // namespace qing::nn
