#include <qing/tensor/scalar.h>

#include <variant>

namespace qing {

double Scalar::to_double() const {
  return std::visit([](auto number) { return static_cast<double>(number); }, value_);
}

}  // namespace qing
