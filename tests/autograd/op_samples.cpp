#include "autograd/op_samples.h"

#include <span>

#include <qing/autograd/op_names.h>

#include "autograd/samples/activations.h"
#include "autograd/samples/attention.h"
#include "autograd/samples/composition.h"
#include "autograd/samples/convolution.h"
#include "autograd/samples/elementwise.h"
#include "autograd/samples/in_place.h"
#include "autograd/samples/indexing.h"
#include "autograd/samples/joining.h"
#include "autograd/samples/linalg.h"
#include "autograd/samples/losses.h"
#include "autograd/samples/math.h"
#include "autograd/samples/normalization.h"
#include "autograd/samples/pooling.h"
#include "autograd/samples/powers.h"
#include "autograd/samples/products.h"
#include "autograd/samples/recurrent.h"
#include "autograd/samples/reductions.h"
#include "autograd/samples/selection.h"
#include "autograd/samples/views.h"

namespace qing::test {
namespace {

constexpr std::span<const OpSample> kFamilies[] = {
    kActivationSamples, kAttentionSamples,     kCompositionSamples, kConvolutionSamples, kElementwiseSamples,
    kInPlaceSamples,    kIndexingSamples,      kJoiningSamples,     kLinalgSamples,      kLossSamples,
    kMathSamples,       kNormalizationSamples, kPoolingSamples,     kPowerSamples,       kProductSamples,
    kRecurrentSamples,  kReductionSamples,     kSelectionSamples,   kViewSamples,
};

constexpr bool sampled(std::string_view op) {
  for (const auto family : kFamilies) {
    for (const OpSample& sample : family) {
      if (sample.op == op) return true;
    }
  }
  return false;
}

// The first operation without a sample; empty if all have one. A template, so that the compiler's message shows its
// name.
constexpr std::string_view unsampled() {
  for (const OpInfo& op : kOps) {
    if (!sampled(op.name)) return op.name;
  }
  return {};
}
static_assert(unsampled().empty(), "an operation of kOps has no sample: add one in tests/autograd/samples");

}  // namespace

const std::vector<OpSample>& op_samples() {
  static const std::vector<OpSample> all = [] {
    std::vector<OpSample> joined;
    for (const auto family : kFamilies) joined.insert(joined.end(), family.begin(), family.end());
    return joined;
  }();
  return all;
}

}  // namespace qing::test
