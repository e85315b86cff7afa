// Whole-tensor writes: copies with conversion, fills.
#include <algorithm>
#include <cstring>

#include <qing/tensor/convert.h>
#include <qing/tensor/defined.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/in_place.h>
#include <qing/tensor/scalar_rules.h>
#include <qing/tensor/strided.h>

namespace qing {
namespace {

template <class To, class From>
void copy_run(To* to, int64_t to_step, const From* from, int64_t from_step, int64_t count) {
  if (to_step == 1 && from_step == 1) {
    for (int64_t i = 0; i < count; ++i) to[i] = convert<To>(from[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i * to_step] = convert<To>(from[i * from_step]);
  }
}

}  // namespace

void check_writable(const Tensor& tensor, const char* op) {
  if (!tensor.layout().may_overlap_itself()) return;
  throw ValueError(std::string(op) + ": elements of a view of shape " + to_string(tensor.shape()) + " with strides " +
                   to_string(tensor.strides()) + " share memory; write to a clone");
}

Tensor operand_for(const Tensor& target, const Tensor& operand) {
  Tensor wide = operand.expand(target.shape());
  if (!target.may_overlap(wide)) return wide;
  // Element by element in place is safe. Any other overlap would read elements that were just written.
  const bool in_step = target.dtype() == wide.dtype() && target.shares_storage(wide) &&
                       target.layout().offset == wide.layout().offset && target.strides() == wide.strides();
  return in_step ? wide : operand.clone().expand(target.shape());
}

void Tensor::copy_from(const Tensor& source) {
  check_defined(source, "copy_from");
  if (const auto* meta = recorder_of(*this, source)) return meta->copy_from(*this, source);
  check_writable(*this, "copy_from");
  const Tensor from = operand_for(*this, source);
  dispatch_all(dtype(), [&](auto to_zero) {
    using To = decltype(to_zero);
    dispatch_all(from.dtype(), [&](auto from_zero) {
      using From = decltype(from_zero);
      To* const out = data<To>();
      const From* const in = from.data<From>();
      if constexpr (std::is_same_v<To, From>) {
        if (copy_by_blocks(shape(), dtype(), reinterpret_cast<std::byte*>(out), strides(),
                           reinterpret_cast<const std::byte*>(in), from.strides())) {
          return;
        }
      }
      for_each_run(shape(), {&strides(), &from.strides()}, [out, in](const Run& run) {
        copy_run(out + run.offset[0], run.step[0], in + run.offset[1], run.step[1], run.count);
      });
    });
  });
  bump_version();
}

void fill_with(Tensor& x, const Scalar& value, const char* op) {
  if (const auto* meta = x.recorder()) {
    return meta->overwrite(op, x, [&value, op](Tensor& plain) { fill_with(plain, value, op); });
  }
  check_writable(x, op);
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T element = stored_as<T>(value, op);
    T* const out = x.data<T>();
    for_each_run(x.shape(), {&x.strides()}, [out, element](const Run& run) {
      T* const to = out + run.offset[0];
      for (int64_t i = 0; i < run.count; ++i) to[i * run.step[0]] = element;
    });
  });
  x.bump_version();
}

void Tensor::fill(Scalar value) { fill_with(*this, value, "fill"); }

Tensor& Tensor::zero_() {
  fill(0);
  return *this;
}

}  // namespace qing
