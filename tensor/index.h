// NumPy's basic indexing: the entries between the brackets of x[{0, Slice(1, 5, 2), Ellipsis, NewAxis}].
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <variant>

namespace qing {

/// Python's start:stop:step, with its clamping and negative positions. std::nullopt stands for an omitted bound. step
/// is positive.
struct Slice {
  std::optional<int64_t> start, stop;
  int64_t step = 1;

  Slice() = default;  ///< The whole dimension, `:`.
  Slice(std::optional<int64_t> from, std::optional<int64_t> to = std::nullopt, int64_t by = 1)
      : start(from), stop(to), step(by) {}
};

struct EllipsisTag {};
struct NewAxisTag {};
inline constexpr EllipsisTag Ellipsis;  ///< As many whole dimensions as the other indices leave.
inline constexpr NewAxisTag NewAxis;    ///< A new dimension of size 1.

/// One entry. An integer takes one position and removes the dimension; a negative one counts from the back.
class Index {
 public:
  template <std::integral T>
  requires(!std::same_as<T, bool>)  // NumPy's x[True] is a mask, not a position
      Index(T position)
      : value_(static_cast<int64_t>(position)) {}
  Index(Slice slice) : value_(slice) {}
  Index(EllipsisTag tag) : value_(tag) {}
  Index(NewAxisTag tag) : value_(tag) {}
  const std::variant<int64_t, Slice, EllipsisTag, NewAxisTag>& value() const { return value_; }

 private:
  std::variant<int64_t, Slice, EllipsisTag, NewAxisTag> value_;
};

}  // namespace qing
