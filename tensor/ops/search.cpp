#include <qing/tensor/ops/search.h>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/lanes.h>
#include <qing/tensor/ops/order.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// A dtype with the order of x's and a C++ type: f32 for short floats, u8 for bool.
Tensor ordered(const Tensor& x) {
  switch (x.dtype()) {
    case DType::f16:
    case DType::bf16: return x.to(DType::f32);
    case DType::boolean: return x.to(DType::u8);
    default: return x;
  }
}

// The position of the most extreme element; the first of equal ones.
Tensor arg(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim, bool largest, const char* op) {
  const Lanes lanes(x.layout(), dims);
  if (lanes.length() == 0) {
    throw ValueError(fmt::format("{}: shape {} has no elements to choose from", op, to_string(x.shape())));
  }
  Tensor result = Tensor::empty(reduced_shape(x.shape(), dims, keepdim), DType::i64);
  int64_t* const out = result.data<int64_t>();
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallel_for(lanes.count(), lanes.tile(), [&](int64_t begin, int64_t end) {
      LaneReader<T> in(x, lanes);
      for (int64_t lane = begin; lane < end; ++lane) {
        const T* const values = in.at(lane);
        int64_t best = 0;
        for (int64_t i = 1; i < lanes.length(); ++i) {
          if (more_extreme(values[i], values[best], largest)) best = i;
        }
        out[lane] = best;
      }
    });
  });
  return result;
}

// Ids as i64, contiguous.
Tensor as_ids(const Tensor& x, const char* op) {
  dispatch_integer(x.dtype(), op, [](auto) {});
  return x.to(DType::i64).contiguous();
}

// One more than the largest id, at least `least`. ValueError if an id is negative or too large to count.
int64_t bins_for(std::span<const int64_t> ids, int64_t least, const char* op) {
  constexpr int64_t kMost = int64_t{1} << 32;
  for (const int64_t id : ids) {
    if (id < 0) throw ValueError(fmt::format("{}: id {} is negative", op, id));
    if (id >= kMost)
      throw ValueError(fmt::format("{}: id {} is too large; the largest allowed is {}", op, id, kMost - 1));
    least = std::max(least, id + 1);
  }
  return least;
}

Tensor ids_to_count(const Tensor& x, int64_t minlength) {
  if (x.dim() != 1) throw ShapeError("bincount: shape " + to_string(x.shape()) + " is not of one dimension");
  if (minlength < 0) throw ValueError(fmt::format("bincount: minlength {} is negative", minlength));
  return as_ids(x, "bincount");
}

}  // namespace

Tensor argmax(const Tensor& x) { return arg(x, resolve_dims({}, x.dim(), "argmax"), false, true, "argmax"); }
Tensor argmin(const Tensor& x) { return arg(x, resolve_dims({}, x.dim(), "argmin"), false, false, "argmin"); }
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim) {
  return arg(x, resolve_dim(dim, x.dim(), "argmax"), keepdim, true, "argmax");
}
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim) {
  return arg(x, resolve_dim(dim, x.dim(), "argmin"), keepdim, false, "argmin");
}

Unique unique(const Tensor& x) {
  const Tensor dense = ordered(x).contiguous();
  const int64_t n = dense.numel();
  Tensor order = Tensor::arange(n), inverse = Tensor::empty(x.shape(), DType::i64);
  std::vector<int64_t> counts, firsts;
  dispatch_number(dense.dtype(), "unique", [&](auto zero) {
    using T = decltype(zero);
    const T* const in = dense.data<T>();
    const auto by_value = order.span<int64_t>();
    std::stable_sort(by_value.begin(), by_value.end(), [in](int64_t a, int64_t b) { return above(in[b], in[a]); });
    for (const int64_t i : by_value) {
      if (firsts.empty() || in[firsts.back()] != in[i]) firsts.push_back(i), counts.push_back(0);
      ++counts.back();
      inverse.data<int64_t>()[i] = static_cast<int64_t>(firsts.size()) - 1;
    }
  });
  const auto found = static_cast<int64_t>(firsts.size());
  Tensor values = Tensor::empty({found}, x.dtype());
  const Tensor flat = x.contiguous().reshape({n});
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < found; ++i) values.data<T>()[i] = flat.data<T>()[firsts[i]];
  });
  return {values, inverse, Tensor::from(std::span<const int64_t>(counts), {found})};
}

Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right) {
  check_same_dtype(sorted, values, "searchsorted");
  if (sorted.dim() != 1) {
    throw ShapeError("searchsorted: the sorted values have shape " + to_string(sorted.shape()) + ", not one dimension");
  }
  const Tensor row = ordered(sorted).contiguous(), wanted = ordered(values).contiguous();
  Tensor result = Tensor::empty(values.shape(), DType::i64);
  dispatch_number(row.dtype(), "searchsorted", [&](auto zero) {
    using T = decltype(zero);
    const auto in = row.span<T>();
    const auto want = wanted.span<T>();
    const auto out = result.span<int64_t>();
    parallel_for(static_cast<int64_t>(out.size()), 1024, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto less = [](T a, T b) { return above(b, a); };
        const auto place = right ? std::upper_bound(in.begin(), in.end(), want[i], less)
                                 : std::lower_bound(in.begin(), in.end(), want[i], less);
        out[i] = place - in.begin();
      }
    });
  });
  return result;
}

Tensor bincount(const Tensor& x, int64_t minlength) {
  const Tensor ids = ids_to_count(x, minlength);
  Tensor result = Tensor::zeros({bins_for(ids.span<int64_t>(), minlength, "bincount")}, DType::i64);
  int64_t* const out = result.data<int64_t>();
  for (const int64_t id : ids.span<int64_t>()) ++out[id];
  return result;
}

Tensor bincount(const Tensor& x, const Tensor& weights, int64_t minlength) {
  const Tensor ids = ids_to_count(x, minlength);
  if (weights.shape() != x.shape()) {
    throw ShapeError(fmt::format("bincount: weights of shape {} for values of shape {}", to_string(weights.shape()),
                                 to_string(x.shape())));
  }
  Tensor result = Tensor::zeros({bins_for(ids.span<int64_t>(), minlength, "bincount")}, weights.dtype());
  dispatch_floating(weights.dtype(), "bincount", [&](auto zero) {
    using T = decltype(zero);
    const Tensor dense = weights.contiguous();
    const auto id = ids.span<int64_t>();
    const auto weight = dense.span<T>();
    for (size_t i = 0; i < id.size(); ++i) result.data<T>()[id[i]] += weight[i];
  });
  return result;
}

Tensor one_hot(const Tensor& ids, int64_t num_classes) {
  if (num_classes < -1) throw ValueError(fmt::format("one_hot: {} classes", num_classes));
  const Tensor dense = as_ids(ids, "one_hot");
  const auto id = dense.span<int64_t>();
  for (const int64_t i : id) {
    if (num_classes == -1 || (i >= 0 && i < num_classes)) continue;
    throw ValueError(fmt::format("one_hot: id {} is outside [0, {}), the range of num_classes", i, num_classes));
  }
  const int64_t classes = num_classes == -1 ? bins_for(id, 0, "one_hot") : num_classes;
  Shape shape = ids.shape();
  shape.push_back(classes);
  Tensor result = Tensor::zeros(shape, DType::i64);
  int64_t* row = result.data<int64_t>();
  for (const int64_t i : id) row[i] = 1, row += classes;
  return result;
}

}  // namespace qing
