#include <qing/optim/classifier/regression_head.h>

#include <qing/autograd/autograd.h>

namespace qing::optim {
namespace {

// The parameter itself, not a copy.
Tensor parameter_of(nn::EncoderForSequenceClassification& model, const char* name) {
  return model.state_dict().at(name);
}

// scale · (x + shift) for the head's output x.
void change(Tensor& weight, Tensor& bias, double scale, double shift) {
  const NoGradGuard guard;
  weight.mul_(scale);
  bias.add_(shift);
  bias.mul_(scale);
}

}  // namespace

void to_units(nn::EncoderForSequenceClassification& model, const TargetUnits& units) {
  Tensor weight = parameter_of(model, kHeadWeight), bias = parameter_of(model, kHeadBias);
  change(weight, bias, 1 / units.deviation, -units.mean);
}

HeadInOriginalUnits::HeadInOriginalUnits(nn::EncoderForSequenceClassification& model, const TargetUnits& units)
    : weight_(parameter_of(model, kHeadWeight)),
      bias_(parameter_of(model, kHeadBias)),
      old_weight_(weight_.clone()),
      old_bias_(bias_.clone()) {
  change(weight_, bias_, units.deviation, units.mean / units.deviation);
}

HeadInOriginalUnits::~HeadInOriginalUnits() {
  const NoGradGuard guard;
  weight_.copy_from(old_weight_);
  bias_.copy_from(old_bias_);
}

}  // namespace qing::optim
