#include "length_counter.h"

#include <algorithm>

namespace qing::serve {

void LengthCounter::add(std::int64_t length) {
  least_ = count_ == 0 ? length : std::min(least_, length);
  most_ = std::max(most_, length);
  ++count_;
  sum_ += length;
  ++texts_[static_cast<size_t>(std::min(length, TextLengths::kLongest))];
}

TextLengths LengthCounter::lengths() const {
  if (count_ == 0) return {};
  return {least_, at(0.5), at(0.95), most_, static_cast<double>(sum_) / static_cast<double>(count_)};
}

std::int64_t LengthCounter::at(double share) const {
  auto left = static_cast<std::int64_t>(share * static_cast<double>(count_));
  size_t length = 0;
  while (length + 1 < texts_.size() && (left -= texts_[length]) >= 0) ++length;
  return static_cast<std::int64_t>(length);
}

}  // namespace qing::serve
