// Reads little-endian numbers and runs of bytes from the front of a piece of memory; every read is checked first.
#pragma once

#include <fmt/format.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include <qing/nn/formats/file_faults.h>

namespace qing::nn {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in the file");

class ByteCursor {
 public:
  /// `bytes` are a part of the file of `faults` and begin at byte `start` of it. Both must outlive the cursor.
  ByteCursor(std::string_view bytes, const FileFaults& faults, uint64_t start = 0)
      : bytes_(bytes), faults_(&faults), start_(start) {}

  /// The position of the next byte in the file.
  uint64_t place() const { return start_ + position_; }
  uint64_t left() const { return bytes_.size() - position_; }
  const FileFaults& faults() const { return *faults_; }

  /// The next `count` bytes. If fewer are left, DataError names `what`, its position and both counts, as number() does.
  std::string_view take(uint64_t count, std::string_view what) {
    if (count > left()) {
      faults_->invalid(
          fmt::format("{} at byte {} needs {} bytes, but {} are left (is it cut?)", what, place(), count, left()));
    }
    const std::string_view taken = bytes_.substr(position_, count);
    position_ += count;
    return taken;
  }
  template <class T> T number(std::string_view what) {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

 private:
  std::string_view bytes_;
  const FileFaults* faults_;
  uint64_t start_;
  size_t position_ = 0;
};

}  // namespace qing::nn
