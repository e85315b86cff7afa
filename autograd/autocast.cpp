#include <qing/autograd/autocast.h>

#include <string>
#include <utility>

#include <qing/tensor/errors.h>

namespace qing {
namespace {
thread_local DType products = DType::f32;
}

AutocastGuard::AutocastGuard(DType dtype) {
  if (dtype != DType::f32 && dtype != DType::bf16) {
    throw DTypeError(std::string("AutocastGuard: products are in f32 or bf16, not ") + name_of(dtype));
  }
  previous_ = std::exchange(products, dtype);
}

AutocastGuard::~AutocastGuard() { products = previous_; }

DType autocast_dtype() { return products; }

}  // namespace qing
