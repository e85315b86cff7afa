#include <qing/tensor/defined.h>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing {

void refuse_undefined(const char* op) {
  throw ValueError(
      fmt::format("{}: a tensor is undefined; grad() gives such a one before backward() and after zero_grad(): call "
                  "backward() first, or give the tensor a value, e.g. with Tensor::zeros",
                  op));
}

}  // namespace qing
