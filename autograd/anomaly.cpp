#include <qing/autograd/anomaly.h>

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/tensor/dispatch.h>

namespace qing {
namespace {

thread_local bool looking = false;

// The first NaN in row-major order.
std::optional<int64_t> find_nan(const Tensor& tensor) {
  if (!tensor.defined() || !is_floating(tensor.dtype())) return std::nullopt;
  const Tensor dense = tensor.alias().contiguous();
  return dispatch_floating(dense.dtype(), "anomaly", [&](auto zero) -> std::optional<int64_t> {
    const auto* values = dense.data<decltype(zero)>();
    for (int64_t i = 0; i < dense.numel(); ++i) {
      if (std::isnan(values[i])) return i;
    }
    return std::nullopt;
  });
}

}  // namespace

AnomalyGuard::AnomalyGuard() : previous_(std::exchange(looking, true)) {}
AnomalyGuard::~AnomalyGuard() { looking = previous_; }
bool anomaly_mode() { return looking; }

void check_forward(const char* op, const Tensor& output, std::span<const Tensor> inputs) {
  const auto at = find_nan(output);
  if (!at) return;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (find_nan(inputs[i])) {
      throw AutogradError(
          fmt::format("{}: its forward gave NaN (element {} of shape {}) from input {}, which has NaN "
                      "already; find out where that comes from",
                      op, *at, to_string(output.shape()), i));
    }
  }
  throw AutogradError(fmt::format("{}: its forward made NaN (element {} of shape {}) of inputs without any", op, *at,
                                  to_string(output.shape())));
}

void check_backward(const char* op, size_t input, const Tensor& gradient) {
  if (const auto at = find_nan(gradient)) {
    throw AutogradError(fmt::format("{}: its backward gave NaN for the gradient of input {} (element {} of shape {})",
                                    op, input, *at, to_string(gradient.shape())));
  }
}

}  // namespace qing
