// A trie in a double array (Aoki 1989): one step along a byte is one addition and one comparison. Holds the pieces of a
// vocabulary; its walks give all pieces that a text begins with.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace qing::nn::text {

/// Immutable once built; thread-safe.
class DoubleArray {
 public:
  /// Keys with their values, which are not negative. Empty keys are left out. The last of equal keys counts. DataError
  /// when the array would be far larger than the keys, which happens only with hostile keys.
  static DoubleArray build(std::vector<std::pair<std::string_view, int32_t>> keys);

  static constexpr uint32_t kRoot = 0;
  static constexpr uint32_t kNone = 0xFFFFFFFF;

  /// The node one byte further, or kNone.
  uint32_t step(uint32_t node, unsigned char byte) const {
    const uint32_t to = units_[node].base + byte + 1;
    return to < units_.size() && units_[to].parent == node ? to : kNone;
  }
  /// The value of the key that ends at a node, or -1.
  int32_t value(uint32_t node) const { return units_[node].value; }
  /// The node at the end of `key`, or kNone.
  uint32_t walk(std::string_view key, uint32_t node = kRoot) const;
  bool empty() const { return units_.size() < 2; }

 private:
  struct Unit {
    uint32_t base = 0, parent = kNone;
    int32_t value = -1;
  };
  friend class DoubleArrayBuilder;

  std::vector<Unit> units_ = std::vector<Unit>(1);
};

}  // namespace qing::nn::text
