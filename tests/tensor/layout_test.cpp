// Layout algebra compared with a naive oracle: the list of element positions.
#include <qing/tensor/layout.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

#include <qing/tensor/errors.h>

namespace qing {
namespace {

// Positions in storage of all elements, in row-major order.
std::vector<int64_t> positions(const Layout& layout) {
  std::vector<int64_t> result = {layout.offset};
  for (int64_t d = 0; d < layout.dim(); ++d) {
    std::vector<int64_t> next;
    for (const int64_t base : result) {
      for (int64_t i = 0; i < layout.sizes[d]; ++i) next.push_back(base + i * layout.strides[d]);
    }
    result = std::move(next);
  }
  return result;
}

Shape any_shape() {
  const auto rank = *rc::gen::inRange(0, 5);
  Shape shape;
  for (int d = 0; d < rank; ++d) shape.push_back(*rc::gen::inRange(0, 5));
  return shape;
}

// A contiguous layout after a few views.
Layout any_layout() {
  Layout layout = Layout::contiguous(any_shape());
  const auto views = *rc::gen::inRange(0, 4);
  for (int i = 0; i < views && layout.dim() > 0; ++i) {
    const auto a = *rc::gen::inRange<int64_t>(0, layout.dim()), b = *rc::gen::inRange<int64_t>(0, layout.dim());
    switch (*rc::gen::inRange(0, 3)) {
      case 0: layout = layout.transpose(a, b); break;
      case 1:
        layout = layout.slice(a, *rc::gen::inRange<int64_t>(-6, 6), *rc::gen::inRange<int64_t>(-6, 6),
                              *rc::gen::inRange<int64_t>(1, 4));
        break;
      default: layout = layout.unsqueeze(a); break;
    }
  }
  return layout;
}

TEST(LayoutProperty, ContiguousCountsUp) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = Layout::contiguous(any_shape());
    const auto all = positions(layout);
    RC_ASSERT(static_cast<int64_t>(all.size()) == layout.numel());
    for (size_t i = 0; i < all.size(); ++i) RC_ASSERT(all[i] == static_cast<int64_t>(i));
    RC_ASSERT(layout.is_contiguous());
  }));
}

TEST(LayoutProperty, ReshapeKeepsTheElementsInOrder) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = any_layout();
    Shape target;
    int64_t left = layout.numel();
    for (int d = 0; d < 3 && left > 0; ++d) {
      int64_t size = *rc::gen::inRange<int64_t>(1, 5);
      while (left % size != 0) --size;
      target.push_back(size);
      left /= size;
    }
    target.push_back(left);
    const auto reshaped = layout.reshape(target);
    if (layout.is_contiguous()) RC_ASSERT(reshaped.has_value());
    if (reshaped) {
      RC_ASSERT(reshaped->sizes == target);
      RC_ASSERT(positions(*reshaped) == positions(layout));
    }
  }));
}

TEST(LayoutProperty, SlicesAreThoseOfPython) {
  EXPECT_TRUE(rc::check([] {
    const auto size = *rc::gen::inRange<int64_t>(0, 8), start = *rc::gen::inRange<int64_t>(-10, 10);
    const auto end = *rc::gen::inRange<int64_t>(-10, 10), step = *rc::gen::inRange<int64_t>(1, 4);
    const auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size); };
    std::vector<int64_t> want;
    for (int64_t i = clamp(start); i < clamp(end); i += step) want.push_back(i);
    RC_ASSERT(positions(Layout::contiguous({size}).slice(0, start, end, step)) == want);
  }));
}

TEST(LayoutProperty, ContiguousMeansCountingUp) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = any_layout();
    const auto all = positions(layout);
    bool counts_up = true;
    for (size_t i = 0; i < all.size(); ++i) counts_up = counts_up && all[i] == layout.offset + static_cast<int64_t>(i);
    RC_ASSERT(layout.is_contiguous() == counts_up);
  }));
}

TEST(LayoutProperty, ExpandRepeats) {
  EXPECT_TRUE(rc::check([] {
    const auto rows = *rc::gen::inRange<int64_t>(0, 4), columns = *rc::gen::inRange<int64_t>(0, 4);
    const Layout wide = Layout::contiguous({columns}).expand({rows, columns});
    std::vector<int64_t> want;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) want.push_back(c);
    }
    RC_ASSERT(positions(wide) == want);
  }));
}

TEST(Layout, NoElementsAreContiguousWhateverTheStrides) {
  EXPECT_TRUE(Layout::contiguous({3, 2, 2}).transpose(1, 2).slice(0, 1, 1).is_contiguous());
}

TEST(Layout, PermuteUnsqueezeSqueezeSelect) {
  const Layout layout = Layout::contiguous({2, 3, 4});
  EXPECT_EQ(layout.permute({2, 0, 1}).sizes, (Shape{4, 2, 3}));
  EXPECT_EQ(layout.permute({-1, 0, 1}).strides, (Strides{1, 12, 4}));
  EXPECT_EQ(layout.unsqueeze(-1).sizes, (Shape{2, 3, 4, 1}));
  EXPECT_EQ(layout.unsqueeze(0).squeeze(0).sizes, layout.sizes);
  EXPECT_EQ(layout.select(1, -1).offset, 8);
}

TEST(Layout, ErrorsNameWhatIsWrong) {
  const Layout layout = Layout::contiguous({2, 3});
  EXPECT_THROW(layout.permute({0}), ShapeError);
  EXPECT_THROW(layout.permute({0, 0}), ValueError);
  EXPECT_THROW(layout.transpose(0, 2), IndexError);
  EXPECT_THROW(layout.squeeze(0), ShapeError);
  EXPECT_THROW(layout.select(0, 2), IndexError);
  EXPECT_THROW(layout.slice(0, 0, 1, 0), ValueError);
  EXPECT_THROW(layout.expand({3, 3}), ShapeError);
  EXPECT_THROW(layout.reshape({-1, -1}), ShapeError);
  EXPECT_THROW(layout.reshape({4, -1}), ShapeError);
  EXPECT_THROW(broadcast_shapes({2, 3}, {2}, "add"), ShapeError);
  EXPECT_EQ(broadcast_shapes({2, 1}, {3}, "add"), (Shape{2, 3}));
  EXPECT_EQ(broadcast_shapes({0}, {1}, "add"), (Shape{0}));
}

}  // namespace
}  // namespace qing
