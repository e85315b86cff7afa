#include <qing/autograd/ops/recurrent.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/autograd/graph.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kCellRowGrain = 8;

// Adds to or overwrites a sink's target. Null data: the gradient is not wanted.
template <class T> struct Into {
  T* data = nullptr;
  bool add = false;

  Into(GradSink& grad, size_t input) {
    if (!grad.needs(input)) return;
    const auto target = grad.target(input);
    data = target.tensor.template data<T>();
    add = target.accumulate;
  }
  void put(int64_t at, T value) const {
    if (data != nullptr) data[at] = add ? data[at] + value : value;
  }
};

void check(const Tensor& x_gates, const Tensor& h_gates, const Tensor& state, int64_t gates, const char* op) {
  check_same_dtype(x_gates, h_gates, op);
  check_same_dtype(x_gates, state, op);
  const bool fits = state.dim() == 2 && x_gates.shape() == Shape{state.size(0), gates * state.size(1)} &&
                    h_gates.shape() == x_gates.shape();
  if (!fits) {
    throw ShapeError(fmt::format("{}: gates {} and {}, state {}; needs [batch, {}·hidden], [batch, hidden]", op,
                                 to_string(x_gates.shape()), to_string(h_gates.shape()), to_string(state.shape()),
                                 gates));
  }
}

template <class T> void sigmoid_in_place(int64_t n, T* y) { kernels::apply(kernels::Unary::sigmoid, n, y, y); }

}  // namespace

Tensor lstm_cell(const Tensor& x_gates, const Tensor& h_gates, const Tensor& state) {
  check(x_gates, h_gates, state, 4, "lstm_cell");
  const Tensor x = x_gates.contiguous(), h = h_gates.contiguous(), c = state.contiguous();
  const int64_t batch = c.size(0), n = c.size(1);
  // Backward needs the gates after their activation functions, and tanh(c').
  const Tensor gates = Tensor::empty(x.shape(), x.dtype()), squashed = Tensor::empty(c.shape(), c.dtype());
  Tensor y = Tensor::empty({2, batch, n}, x.dtype());
  dispatch_floating(x.dtype(), "lstm_cell", [&](auto zero) {
    using T = decltype(zero);
    const auto& table = kernels::kernels<T>();
    parallel_for(batch, kCellRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        T* const g = gates.data<T>() + b * 4 * n;
        table.add(4 * n, x.data<T>() + b * 4 * n, h.data<T>() + b * 4 * n, g);
        sigmoid_in_place(2 * n, g);
        kernels::apply(kernels::Unary::tanh, n, g + 2 * n, g + 2 * n);
        sigmoid_in_place(n, g + 3 * n);
        const T* const before = c.data<T>() + b * n;
        T *const hidden = y.data<T>() + b * n, *const cell = hidden + batch * n, *const t = squashed.data<T>() + b * n;
        for (int64_t j = 0; j < n; ++j) cell[j] = g[n + j] * before[j] + g[j] * g[2 * n + j];
        kernels::apply(kernels::Unary::tanh, n, cell, t);
        for (int64_t j = 0; j < n; ++j) hidden[j] = g[3 * n + j] * t[j];
      }
    });
  });
  if (recording({x_gates, h_gates, state})) {
    record("lstm_cell", y, {x_gates, h_gates, state},
           [batch, n, gates, squashed, c = Saved(c)](const Tensor& dy, GradSink& grad) {
             dispatch_floating(dy.dtype(), "lstm_cell", [&](auto zero) {
               using T = decltype(zero);
               const Into<T> dx(grad, 0), dh(grad, 1), dc(grad, 2);
               const T* const before = c.get(grad).data<T>();
               parallel_for(batch, kCellRowGrain, [&](int64_t begin, int64_t end) {
                 for (int64_t at = begin * n; at < end * n; ++at) {
                   const int64_t first = at / n * 4 * n + at % n;  // of this unit's gates
                   const T* const g = gates.data<T>() + first;
                   const T i = g[0], f = g[n], z = g[2 * n], o = g[3 * n], t = squashed.data<T>()[at];
                   const T up = dy.data<T>()[at];
                   const T dcell = dy.data<T>()[batch * n + at] + up * o * (1 - t * t);
                   const T pre[4] = {dcell * z * i * (1 - i), dcell * before[at] * f * (1 - f), dcell * i * (1 - z * z),
                                     up * t * o * (1 - o)};
                   for (int64_t k = 0; k < 4; ++k) {
                     dx.put(first + k * n, pre[k]);
                     dh.put(first + k * n, pre[k]);
                   }
                   dc.put(at, dcell * f);
                 }
               });
             });
           });
  }
  return y;
}

Tensor gru_cell(const Tensor& x_gates, const Tensor& h_gates, const Tensor& state) {
  check(x_gates, h_gates, state, 3, "gru_cell");
  const Tensor x = x_gates.contiguous(), hg = h_gates.contiguous(), h = state.contiguous();
  const int64_t batch = h.size(0), n = h.size(1);
  const Tensor gates = Tensor::empty(x.shape(), x.dtype());  // r, z, n after their activation functions
  Tensor y = Tensor::empty(h.shape(), h.dtype());
  dispatch_floating(x.dtype(), "gru_cell", [&](auto zero) {
    using T = decltype(zero);
    const auto& table = kernels::kernels<T>();
    parallel_for(batch, kCellRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const T *const from_x = x.data<T>() + b * 3 * n, *const from_h = hg.data<T>() + b * 3 * n;
        T *const g = gates.data<T>() + b * 3 * n, *const fresh = g + 2 * n;
        table.add(2 * n, from_x, from_h, g);
        sigmoid_in_place(2 * n, g);
        for (int64_t j = 0; j < n; ++j) fresh[j] = from_x[2 * n + j] + g[j] * from_h[2 * n + j];
        kernels::apply(kernels::Unary::tanh, n, fresh, fresh);
        const T* const before = h.data<T>() + b * n;
        T* const out = y.data<T>() + b * n;
        for (int64_t j = 0; j < n; ++j) out[j] = (1 - g[n + j]) * fresh[j] + g[n + j] * before[j];
      }
    });
  });
  if (recording({x_gates, h_gates, state})) {
    record("gru_cell", y, {x_gates, h_gates, state},
           [batch, n, gates, hg = Saved(hg), h = Saved(h)](const Tensor& dy, GradSink& grad) {
             dispatch_floating(dy.dtype(), "gru_cell", [&](auto zero) {
               using T = decltype(zero);
               const Into<T> dx(grad, 0), dhg(grad, 1), dh(grad, 2);
               const T *const before = h.get(grad).data<T>(), *const from_h = hg.get(grad).data<T>();
               parallel_for(batch, kCellRowGrain, [&](int64_t begin, int64_t end) {
                 for (int64_t at = begin * n; at < end * n; ++at) {
                   const int64_t first = at / n * 3 * n + at % n;  // of this unit's gates
                   const T* const g = gates.data<T>() + first;
                   const T r = g[0], z = g[n], fresh = g[2 * n], up = dy.data<T>()[at];
                   const T dfresh = up * (1 - z) * (1 - fresh * fresh);
                   const T dr = dfresh * from_h[first + 2 * n] * r * (1 - r);
                   const T dz = up * (before[at] - fresh) * z * (1 - z);
                   const T for_x[3] = {dr, dz, dfresh}, for_h[3] = {dr, dz, dfresh * r};
                   for (int64_t k = 0; k < 3; ++k) {
                     dx.put(first + k * n, for_x[k]);
                     dhg.put(first + k * n, for_h[k]);
                   }
                   dh.put(at, up * z);
                 }
               });
             });
           });
  }
  return y;
}

}  // namespace qing
