// The head of a regression learns numbers of mean 0 and deviation 1, whatever their unit. The saved model gives them in
// their own unit.
#pragma once

#include <qing/nn/models/encoder_heads.h>
#include <qing/optim/classifier/problem_loss.h>
#include <qing/tensor/tensor.h>

namespace qing::optim {

inline constexpr const char* kHeadWeight = "classifier.weight";
inline constexpr const char* kHeadBias = "classifier.bias";

/// Makes a head that gives numbers in their own unit one that gives them in the units of the training.
void to_units(nn::EncoderForSequenceClassification& model, const TargetUnits& units);

/// The other way round as long as it lives; then the head has the same bits as before. Not thread-safe.
class HeadInOriginalUnits {
 public:
  HeadInOriginalUnits(nn::EncoderForSequenceClassification& model, const TargetUnits& units);
  ~HeadInOriginalUnits();
  HeadInOriginalUnits(const HeadInOriginalUnits&) = delete;
  HeadInOriginalUnits& operator=(const HeadInOriginalUnits&) = delete;

 private:
  Tensor weight_, bias_;          // of the model
  Tensor old_weight_, old_bias_;  // copies
};

}  // namespace qing::optim
