// The order of elements of any dtype. NaN is above everything, as in PyTorch, so that sorting is well defined.
#pragma once

#include <cmath>
#include <type_traits>

#include <qing/tensor/convert.h>

namespace qing {

/// The element in a type that has operators: short floats become float.
template <class T> auto comparable(T value) {
  if constexpr (is_short_float<T>) {
    return to_float(value);
  } else {
    return value;
  }
}

template <class T> bool is_nan(T value) {
  if constexpr (std::is_floating_point_v<T> || is_short_float<T>) {
    return std::isnan(comparable(value));
  } else {
    return false;
  }
}

/// a > b, where NaN is above all numbers.
template <class T> bool above(T a, T b) { return comparable(a) > comparable(b) || (is_nan(a) && !is_nan(b)); }

/// Whether a comes before b in a search for the largest or the smallest. NaN comes before any number in both.
template <class T> bool more_extreme(T a, T b, bool largest) {
  if (is_nan(a)) return !is_nan(b);
  return largest ? comparable(a) > comparable(b) : comparable(a) < comparable(b);
}

}  // namespace qing
