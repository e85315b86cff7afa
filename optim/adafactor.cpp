#include <qing/optim/adafactor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

enum Slot : size_t { kRow, kColumn, kVariance };

constexpr int64_t kRunElements = 4096;  // work of a thread between two questions for more

// Sums of squares are added in f64 and in a fixed order, so that their bits do not depend on the threads.
double added(const std::vector<double>& parts) { return std::accumulate(parts.begin(), parts.end(), 0.0); }

// A parameter as rows of equal width: matrices of `height` rows.
struct Rows {
  int64_t matrices, height, width;
  int64_t count() const { return matrices * height; }
  int64_t grain() const { return std::max<int64_t>(1, kRunElements / std::max<int64_t>(1, width)); }
};

// A vector is cut into rows too, so that threads share it.
Rows rows_of(const Shape& shape) {
  const int64_t elements = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  if (shape.size() < 2) return {1, (elements + kRunElements - 1) / kRunElements, std::min(elements, kRunElements)};
  const int64_t height = shape[shape.size() - 2], width = shape.back();
  return {elements == 0 ? 0 : elements / (height * width), height, width};
}

template <class T> class Update {
 public:
  Update(const AdafactorOptions& options, const Tensor& parameter, const Tensor& gradient, int64_t step, double scale)
      : o_(options),
        rows_(rows_of(parameter.shape())),
        elements_(parameter.numel()),
        w_(parameter.data<T>()),
        g_(gradient.data<T>()),
        sign_(options.maximize ? -scale : scale),
        fresh_share_(std::pow(static_cast<double>(step), options.beta2_decay)),
        rate_(std::min(options.lr, 1 / std::sqrt(static_cast<double>(step)))),
        least_(options.eps1 > 0 ? options.eps1 : static_cast<double>(std::numeric_limits<T>::epsilon())) {}

  void matrix(T* row_means, T* column_means) {
    average_rows(row_means);
    average_columns(column_means);
    std::vector<double> inverse(static_cast<size_t>(rows_.matrices));
    for (int64_t m = 0; m < rows_.matrices; ++m) {
      const T* first = row_means + m * rows_.height;
      const double mean = std::accumulate(first, first + rows_.height, 0.0) / static_cast<double>(rows_.height);
      inverse[static_cast<size_t>(m)] = 1 / std::max(mean, least_);
    }
    apply([&](int64_t row, T* u, int64_t n) {
      const int64_t m = row / rows_.height;
      const T factor = row_means[row] * static_cast<T>(inverse[static_cast<size_t>(m)]);
      const T* columns = column_means + m * rows_.width;
      for (int64_t j = 0; j < n; ++j) u[j] = factor * columns[j];
    });
  }

  void vector(T* variance) {
    const T share = static_cast<T>(fresh_share_), sign = static_cast<T>(sign_);
    for_rows([&](int64_t row, const T* g, int64_t n) {
      T* v = variance + row * rows_.width;
      for (int64_t j = 0; j < n; ++j) v[j] += share * (sign * g[j] * (sign * g[j]) - v[j]);
    });
    apply([&](int64_t row, T* u, int64_t n) { std::copy_n(variance + row * rows_.width, n, u); });
  }

 private:
  // Calls body(row, its gradient, its elements) for every row.
  template <class Body> void for_rows(const Body& body) const {
    parallel_for(rows_.count(), rows_.grain(), [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        body(row, g_ + row * rows_.width, std::min(rows_.width, elements_ - row * rows_.width));
      }
    });
  }

  // The moving average moves towards the mean square of new values.
  T averaged(T old, double squares, int64_t count) const {
    const double mean = sign_ * sign_ * squares / static_cast<double>(count);
    return static_cast<T>(static_cast<double>(old) + fresh_share_ * (mean - static_cast<double>(old)));
  }

  void average_rows(T* means) const {
    for_rows([&](int64_t row, const T* g, int64_t n) {
      means[row] = averaged(means[row], static_cast<double>(kernels::kernels<T>().sum_squares(n, g)), n);
    });
  }

  void average_columns(T* means) const {
    constexpr int64_t kTile = 64;  // columns that are summed together
    const int64_t tiles = (rows_.width + kTile - 1) / kTile;
    parallel_for(rows_.matrices * tiles,
                 std::max<int64_t>(1, kRunElements / (kTile * std::max<int64_t>(1, rows_.height))),
                 [&](int64_t first, int64_t last) {
                   for (int64_t task = first; task < last; ++task) {
                     const int64_t m = task / tiles, begin = task % tiles * kTile;
                     const int64_t n = std::min(kTile, rows_.width - begin);
                     double squares[kTile] = {};
                     for (int64_t i = 0; i < rows_.height; ++i) {
                       const T* g = g_ + (m * rows_.height + i) * rows_.width + begin;
                       for (int64_t j = 0; j < n; ++j)
                         squares[j] += static_cast<double>(g[j]) * static_cast<double>(g[j]);
                     }
                     T* mean = means + m * rows_.width + begin;
                     for (int64_t j = 0; j < n; ++j) mean[j] = averaged(mean[j], squares[j], rows_.height);
                   }
                 });
  }

  // Moves the weights. estimate(row, v, n) gives the second moments of a row. They are computed twice, which takes less
  // time than the memory for all updates would.
  template <class Estimate> void apply(const Estimate& estimate) const {
    const T least = static_cast<T>(least_ * least_), sign = static_cast<T>(sign_);
    const auto update_of = [&](int64_t row, const T* g, int64_t n, std::vector<T>& u) {
      u.resize(static_cast<size_t>(n));
      estimate(row, u.data(), n);
      for (int64_t j = 0; j < n; ++j) u[j] = sign * g[j] / std::sqrt(u[j] < least ? least : u[j]);
    };
    std::vector<double> updates(static_cast<size_t>(rows_.count())), weights(updates.size());
    for_rows([&](int64_t row, const T* g, int64_t n) {
      thread_local std::vector<T> u;
      update_of(row, g, n, u);
      updates[static_cast<size_t>(row)] = static_cast<double>(kernels::kernels<T>().sum_squares(n, u.data()));
      weights[static_cast<size_t>(row)] =
          static_cast<double>(kernels::kernels<T>().sum_squares(n, w_ + row * rows_.width));
    });
    const double count = static_cast<double>(elements_);
    const double size = std::max(o_.eps2, std::sqrt(added(weights) / count)) * rate_;
    const double update_rms = std::sqrt(added(updates) / count);
    // Written so that a NaN stays one.
    const T factor = static_cast<T>(size / (update_rms <= o_.d ? 1 : update_rms / o_.d));
    const T keep = static_cast<T>(1 - o_.lr * o_.weight_decay);
    for_rows([&](int64_t row, const T* g, int64_t n) {
      thread_local std::vector<T> u;
      update_of(row, g, n, u);
      T* w = w_ + row * rows_.width;
      for (int64_t j = 0; j < n; ++j) w[j] = keep * w[j] - factor * u[j];
    });
  }

  const AdafactorOptions& o_;
  const Rows rows_;
  const int64_t elements_;
  T* const w_;
  const T* const g_;
  const double sign_, fresh_share_, rate_, least_;
};

}  // namespace

Adafactor::Adafactor(const Groups& groups) : Optimizer(Options::kName, {"row_var", "col_var", "variance"}) {
  for (const ParameterGroup<AdafactorOptions>& group : groups) {
    add_group(group.parameters);
    options_.push_back(group.options);
  }
  finish_groups();
}

std::optional<Shape> Adafactor::slot_shape(size_t, size_t slot, const Shape& parameter) const {
  const size_t dims = parameter.size();
  if ((slot == kVariance) != (dims < 2)) return std::nullopt;
  Shape shape = parameter;
  if (slot == kRow) shape[dims - 1] = 1;
  if (slot == kColumn) shape[dims - 2] = 1;
  return shape;
}

void Adafactor::update_whole(size_t group, const Whole& whole) const {
  if (whole.parameter.numel() == 0) return;
  dispatch_floating(whole.parameter.dtype(), Options::kName, [&](auto zero) {
    using T = decltype(zero);
    Update<T> update(options_[group], whole.parameter, whole.gradient, whole.step, whole.scale);
    if (whole.slots[kVariance].defined()) {
      update.vector(whole.slots[kVariance].template data<T>());
    } else {
      update.matrix(whole.slots[kRow].template data<T>(), whole.slots[kColumn].template data<T>());
    }
  });
}

}  // namespace qing::optim
