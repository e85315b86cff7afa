#include <qing/nn/layers/container.h>

#include <fmt/format.h>

#include <qing/autograd/ops/views.h>

namespace qing::nn {

void Sequential::push_back(std::unique_ptr<UnaryModule> module) {
  if (module == nullptr) throw ValueError("Sequential: a null module");
  modules_.push_back(std::move(module));
}

void Sequential::visit(Visitor& visitor) {
  for (size_t i = 0; i < modules_.size(); ++i) visitor.module(std::to_string(i), *modules_[i]);
}

UnaryModule& Sequential::operator[](size_t index) const {
  if (index >= modules_.size()) throw IndexError(fmt::format("Sequential: index {} of {}", index, modules_.size()));
  return *modules_[index];
}

Tensor Sequential::compute(const Tensor& x, Generator* rng) const {
  Tensor y = x;
  for (const auto& module : modules_) y = module->forward(y, rng);
  return y;
}

Lambda::Lambda(std::function<Tensor(const Tensor&)> function) : function_(std::move(function)) {
  if (!function_) throw ValueError("Lambda: an empty function");
}

Tensor Flatten::compute(const Tensor& x, Generator*) const {
  const int64_t first = wrap_dim(start_dim_, x.dim(), "Flatten"), last = wrap_dim(end_dim_, x.dim(), "Flatten");
  if (first > last) {
    throw IndexError(fmt::format("Flatten: dimensions {} to {} of shape {} do not exist", start_dim_, end_dim_,
                                 to_string(x.shape())));
  }
  Shape shape(x.shape().begin(), x.shape().begin() + first);
  int64_t joined = 1;
  for (int64_t d = first; d <= last; ++d) joined *= x.size(d);
  shape.push_back(joined);
  shape.insert(shape.end(), x.shape().begin() + last + 1, x.shape().end());
  return reshape(x, shape);
}

}  // namespace qing::nn
