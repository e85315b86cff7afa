#include <qing/optim/state.h>

#include <fmt/format.h>

namespace qing::optim {

Tensor number_state(double value) { return Tensor::full({}, value, DType::f64); }

Tensor integer_state(int64_t value) { return Tensor::from<int64_t>({value}, {}); }

Tensor StateReader::tensor(const std::string& name, const Shape& shape, DType dtype) {
  asked_.insert(name);
  const auto found = state_.find(name);
  if (found == state_.end()) {
    mismatch("missing " + name);
    return {};
  }
  const Tensor& tensor = found->second;
  if (tensor.dtype() != dtype || tensor.shape() != shape) {
    mismatch(fmt::format("{} is {} of shape {}, needs {} of shape {}", name, name_of(tensor.dtype()),
                         to_string(tensor.shape()), name_of(dtype), to_string(shape)));
    return {};
  }
  return tensor;
}

double StateReader::number(const std::string& name) {
  const Tensor found = tensor(name, {}, DType::f64);
  return found.defined() ? *found.data<double>() : 0;
}

int64_t StateReader::integer(const std::string& name, int64_t least) {
  const Tensor found = tensor(name, {}, DType::i64);
  if (!found.defined()) return least;
  const int64_t value = *found.data<int64_t>();
  if (value < least) mismatch(fmt::format("{} is {}, needs at least {}", name, value, least));
  return value;
}

void StateReader::finish() {
  for (const auto& [name, tensor] : state_) {
    if (asked_.count(name) == 0) problems_.push_back("unknown " + name);
  }
  if (problems_.empty()) return;
  throw DataError(fmt::format("{}: {} mismatches: {}", what_, problems_.size(), fmt::join(problems_, "; ")));
}

}  // namespace qing::optim
