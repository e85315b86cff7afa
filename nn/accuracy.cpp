#include <qing/nn/accuracy.h>

#include <fmt/format.h>

#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/ops/nonzero.h>
#include <qing/tensor/ops/search.h>

namespace qing::nn {

double accuracy(const Tensor& logits, const Tensor& labels) {
  if (logits.dim() != 2 || labels.dim() != 1 || labels.size(0) != logits.size(0) || logits.size(1) == 0) {
    throw ShapeError(fmt::format("accuracy: logits of shape {} and labels of shape {}; give [n, classes] and [n]",
                                 to_string(logits.shape()), to_string(labels.shape())));
  }
  if (labels.dtype() != DType::i64 && labels.dtype() != DType::i32) {
    throw DTypeError(fmt::format("accuracy: labels of {}; give them as i64 or i32", name_of(labels.dtype())));
  }
  if (logits.size(0) == 0) return 0;
  const Tensor right = count_nonzero(eq(argmax(logits, 1), labels.to(DType::i64)));
  return right.item() / static_cast<double>(logits.size(0));
}

}  // namespace qing::nn
