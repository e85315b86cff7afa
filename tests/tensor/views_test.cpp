// Chains of views on real values. Each equals the same chain computed by plain loops.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include <qing/tensor/tensor.h>

#include "nn/temp_folder.h"

namespace qing {
namespace {

using test::message_of;

std::vector<int64_t> values_of(const Tensor& x) {
  const Tensor dense = x.clone();
  const auto span = dense.span<int64_t>();
  return {span.begin(), span.end()};
}

using Position = std::vector<int64_t>;

// Element by element: the element at `position` of the view is the element at source(position) of x.
void expect_mapped(const Tensor& x, const Tensor& view, const Shape& shape,
                   const std::function<Position(const Position&)>& source) {
  RC_ASSERT(view.shape() == shape);
  RC_ASSERT(view.shares_storage(x));
  Position position(shape.size(), 0);
  const std::vector<int64_t> got = values_of(view), all = values_of(x);
  for (const int64_t value : got) {
    const Position from = source(position);
    int64_t flat = 0;
    for (size_t d = 0; d < from.size(); ++d) flat = flat * x.shape()[d] + from[d];
    RC_ASSERT(value == all[static_cast<size_t>(flat)]);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++position[d] < shape[d]) break;
      position[d] = 0;
    }
  }
}

int64_t any(int64_t low, int64_t high) { return *rc::gen::inRange<int64_t>(low, high); }

// Makes a random view of x, checks it and returns it.
Tensor any_view(const Tensor& x) {
  const Shape& s = x.shape();
  const int64_t rank = x.dim();
  const int64_t d = rank > 0 ? any(0, rank) : 0;
  Shape shape = s;
  const auto at = [](Position p, int64_t place, int64_t value) {
    p[static_cast<size_t>(place)] = value;
    return p;
  };
  switch (rank == 0 ? 3 : any(0, 11)) {
    case 0: {
      const int64_t e = any(0, rank);
      std::swap(shape[d], shape[e]);
      const Tensor y = x.transpose(d, e - rank);
      expect_mapped(x, y, shape, [=](Position p) {
        std::swap(p[d], p[e]);
        return p;
      });
      return y;
    }
    case 1: {
      const int64_t first = any(0, s[d] + 1), last = any(first, s[d] + 1), step = any(1, 4);
      shape[d] = (last - first + step - 1) / step;
      const Tensor y = x.slice(d, first, last, step);
      expect_mapped(x, y, shape, [=](const Position& p) { return at(p, d, first + p[d] * step); });
      return y;
    }
    case 2: {
      if (s[d] == 0) return x;
      const int64_t i = any(0, s[d]);
      shape.erase(shape.begin() + d);
      const Tensor y = x.select(d, i - s[d]);
      expect_mapped(x, y, shape, [=](Position p) {
        p.insert(p.begin() + d, i);
        return p;
      });
      return y;
    }
    case 3: {
      const int64_t place = any(0, rank + 1);
      shape.insert(shape.begin() + place, 1);
      const Tensor y = x.unsqueeze(place);
      expect_mapped(x, y, shape, [=](Position p) {
        p.erase(p.begin() + place);
        return p;
      });
      return y;
    }
    case 4: {
      const int64_t copies = any(0, 3);
      shape.insert(shape.begin(), copies);
      const Tensor y = x.expand(shape);
      expect_mapped(x, y, shape, [](Position p) {
        p.erase(p.begin());
        return p;
      });
      return y;
    }
    case 5: {
      if (rank < 2) return x;
      const int64_t e = (d + any(1, rank)) % rank, offset = any(-3, 4);
      const int64_t up = std::max<int64_t>(offset, 0), down = std::max<int64_t>(-offset, 0);
      const int64_t size = std::max<int64_t>(0, std::min(s[d] - down, s[e] - up));
      Shape kept;
      for (int64_t k = 0; k < rank; ++k) {
        if (k != d && k != e) kept.push_back(s[k]);
      }
      kept.push_back(size);
      const Tensor y = x.diagonal(offset, d, e);
      expect_mapped(x, y, kept, [=](const Position& p) {
        Position q;
        size_t next = 0;
        for (int64_t k = 0; k < rank; ++k) {
          if (k == d) {
            q.push_back(p.back() + down);
          } else if (k == e) {
            q.push_back(p.back() + up);
          } else {
            q.push_back(p[next++]);
          }
        }
        return q;
      });
      return y;
    }
    case 6: {
      const int64_t e = any(0, rank);
      const int64_t size = shape[d];
      shape.erase(shape.begin() + d);
      shape.insert(shape.begin() + e, size);
      const Tensor y = x.movedim(d, e);
      expect_mapped(x, y, shape, [=](Position p) {
        const int64_t value = p[e];
        p.erase(p.begin() + e);
        p.insert(p.begin() + d, value);
        return p;
      });
      return y;
    }
    case 7: {
      if (s[d] == 0) return x;
      const int64_t size = any(1, s[d] + 1), step = any(1, 4);
      shape[d] = (s[d] - size) / step + 1;
      shape.push_back(size);
      const Tensor y = x.unfold(d, size, step);
      expect_mapped(x, y, shape, [=](Position p) {
        const int64_t within = p.back();
        p.pop_back();
        return at(p, d, p[d] * step + within);
      });
      return y;
    }
    case 8: {
      const int64_t part = s[d] % 2 == 0 ? 2 : 1;
      shape[d] = s[d] / part;
      shape.insert(shape.begin() + d, part);
      const Tensor y = x.unflatten(d, {part, -1});
      expect_mapped(x, y, shape, [=, size = s[d] / part](Position p) {
        p[d + 1] += p[d] * size;
        p.erase(p.begin() + d);
        return p;
      });
      return y;
    }
    case 9: {
      // x[..., slice, None] of the last dimension, then everything of the others.
      const int64_t first = any(0, s[rank - 1] + 1);
      shape.back() -= first;
      shape.push_back(1);
      const Tensor y = x[{Ellipsis, Slice(first), NewAxis}];
      expect_mapped(x, y, shape, [=](Position p) {
        p.pop_back();
        p.back() += first;
        return p;
      });
      return y;
    }
    default: {
      const int64_t start = any(0, s[d] + 1), length = any(0, s[d] - start + 1);
      shape[d] = length;
      const Tensor y = x.narrow(d, start, length);
      expect_mapped(x, y, shape, [=](const Position& p) { return at(p, d, p[d] + start); });
      return y;
    }
  }
}

Tensor any_chain() {
  Shape shape;
  for (int64_t d = any(0, 4); d > 0; --d) shape.push_back(any(0, 5));
  Tensor x = Tensor::arange(numel_of(shape)).reshape(shape);
  for (int64_t views = any(1, 5); views > 0 && x.dim() < 6; --views) x = any_view(x);
  return x;
}

TEST(ViewsProperty, AChainOfViewsIsThatOfPlainLoops) {
  EXPECT_TRUE(rc::check([] { any_chain(); }));
}

TEST(ViewsProperty, ReshapeAndFlattenOfAViewAreThoseOfItsCopy) {
  EXPECT_TRUE(rc::check([] {
    const Tensor x = any_chain(), copy = x.clone();
    RC_ASSERT(values_of(x.reshape({x.numel()})) == values_of(copy));
    if (x.dim() == 0) return;
    const int64_t first = any(0, x.dim()), last = any(first, x.dim());
    RC_ASSERT(x.flatten(first, last).shape() == copy.flatten(first, last).shape());
    RC_ASSERT(values_of(x.flatten(first, last)) == values_of(copy));
  }));
}

TEST(ViewsProperty, WritingAViewWritesItsElementsAlone) {
  EXPECT_TRUE(rc::check([] {
    Shape shape;
    for (int64_t d = any(1, 4); d > 0; --d) shape.push_back(any(1, 5));
    Tensor x = Tensor::arange(numel_of(shape)).reshape(shape);
    Tensor view = x;
    for (int64_t views = any(1, 4); views > 0 && view.dim() < 6; --views) view = any_view(view);
    const auto taken = values_of(view);
    const bool shared = [&] {
      auto sorted = taken;
      std::sort(sorted.begin(), sorted.end());
      return std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
    }();
    RC_ASSERT(view.layout().may_overlap_itself() == shared);
    if (shared) {
      RC_ASSERT_THROWS_AS(view.fill(-1), ValueError);
      return;
    }
    Tensor marks = Tensor::arange(view.numel()).reshape(view.shape());
    view.copy_from(marks.add_(1000));
    for (int64_t i = 0; i < x.numel(); ++i) {
      const auto place = std::find(taken.begin(), taken.end(), i);
      const int64_t want = place == taken.end() ? i : 1000 + (place - taken.begin());
      RC_ASSERT(x.data<int64_t>()[i] == want);
    }
  }));
}

TEST(Views, IndexReadsLikeNumPy) {
  const Tensor x = Tensor::arange(24).reshape({2, 3, 4});
  EXPECT_EQ(values_of(x[1][-1]), (std::vector<int64_t>{20, 21, 22, 23}));
  EXPECT_EQ(values_of(x[{0, Slice(), 1}]), (std::vector<int64_t>{1, 5, 9}));
  EXPECT_EQ(values_of(x[{Ellipsis, -1}]), (std::vector<int64_t>{3, 7, 11, 15, 19, 23}));
  EXPECT_EQ(values_of(x[{1, Slice(-2), Slice(std::nullopt, std::nullopt, 3)}]), (std::vector<int64_t>{16, 19, 20, 23}));
  EXPECT_EQ((x[{NewAxis, Ellipsis, NewAxis}].shape()), (Shape{1, 2, 3, 4, 1}));
  EXPECT_EQ((x[{0, Ellipsis, 0, 0}].shape()), (Shape{}));
  EXPECT_EQ((x[{Slice(0, 1), Slice(2, 1)}].shape()), (Shape{1, 0, 4}));
  EXPECT_EQ(x[{}].shape(), x.shape());
}

TEST(Views, IndexErrorsSayWhichPosition) {
  const Tensor x = Tensor::arange(6).reshape({2, 3});
  EXPECT_EQ(message_of<IndexError>([&] { x[{0, 3}]; }), "index: position 3 of a dimension of size 3, in shape [2, 3]");
  EXPECT_EQ(message_of<IndexError>([&] { x[{0, 0, 0}]; }), "index: 3 indices for shape [2, 3]");
  EXPECT_THROW((x[{Ellipsis, Ellipsis}]), IndexError);
  EXPECT_THROW((x[{Slice(0, 2, 0)}]), ValueError);
  EXPECT_THROW(x[-3], IndexError);
}

TEST(Views, AtAndSet) {
  Tensor x = Tensor::zeros({2, 3}, DType::f16);
  x.set({1, -1}, 2.5);
  EXPECT_EQ(x.at({1, 2}), 2.5);
  EXPECT_EQ(x.at({0, 2}), 0);
  EXPECT_EQ(Tensor::full({}, 3).at({}), 3);
  EXPECT_EQ(message_of<IndexError>([&] { x.at({1}); }), "at: 1 numbers for a position in shape [2, 3]");
  EXPECT_THROW(x.set({2, 0}, 1), IndexError);
}

TEST(Views, MovedimOfSeveral) {
  const Tensor x = Tensor::arange(24).reshape({2, 3, 4});
  EXPECT_EQ(x.movedim(std::vector<int64_t>{0, 1}, {-1, 0}).shape(), (Shape{3, 4, 2}));
  EXPECT_THROW(x.movedim(std::vector<int64_t>{0, 1}, {0}), ShapeError);
  EXPECT_THROW(x.movedim(std::vector<int64_t>{0, 0}, {0, 1}), ValueError);
  EXPECT_THROW(x.movedim(0, 3), IndexError);
}

TEST(Views, SqueezeRemovesEveryOne) { EXPECT_EQ(Tensor::zeros({1, 2, 1, 3, 1}).squeeze().shape(), (Shape{2, 3})); }

TEST(Views, AsStridedStaysInItsStorage) {
  const Tensor x = Tensor::arange(6);
  EXPECT_EQ(values_of(x.as_strided({2, 2}, {1, 3}, 1)), (std::vector<int64_t>{1, 4, 2, 5}));
  EXPECT_THROW(x.as_strided({2, 2}, {1, 3}, 3), ValueError);
  EXPECT_THROW(x.as_strided({2}, {-1}, 0), ValueError);
  EXPECT_THROW(x.as_strided({2}, {1, 1}), ShapeError);
  const int64_t far = std::numeric_limits<int64_t>::max();
  EXPECT_THROW(x.as_strided({2, 3}, {far, far}), ValueError);
  EXPECT_EQ(x.as_strided({6}, {-1}, 5).at({5}), 0);
}

TEST(Views, RefuseWithTypedErrors) {
  const Tensor x = Tensor::zeros({2, 3});
  EXPECT_THROW(x.narrow(0, 1, 2), IndexError);
  EXPECT_THROW(x.narrow(0, -3, 1), IndexError);
  EXPECT_THROW(x.narrow(0, 0, -1), IndexError);
  EXPECT_THROW(x.flatten(1, 0), ValueError);
  EXPECT_THROW(x.unflatten(1, {2, -1}), ShapeError);
  EXPECT_THROW(x.unflatten(1, {}), ShapeError);
  EXPECT_THROW(x.diagonal(0, 1, -1), ValueError);
  EXPECT_THROW(x.unfold(1, 4, 1), ShapeError);
  EXPECT_THROW(x.unfold(1, 2, 0), ValueError);
}

}  // namespace
}  // namespace qing
