#include <qing/nn/formats/charsmap.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <qing/nn/utf8.h>

namespace qing::nn {
namespace {

struct Key {
  std::string text;
  uint32_t value;
};

// A double array as Darts-clone reads it. The `offset` of a node leads to a base, and the child with a label is at the
// exclusive or of base and label. The child with label 0 is a leaf and holds a value.
class DoubleArray {
 public:
  explicit DoubleArray(const std::vector<Key>& keys) : keys_(keys) {
    reserve(0);
    taken_[0] = true;
    add_children(0, 0, keys.size(), 0);
  }
  const std::vector<uint32_t>& units() const { return units_; }

 private:
  static constexpr uint32_t kHasLeaf = 1U << 8, kIsValue = 1U << 31;
  static constexpr int kOffsetShift = 10;
  static constexpr size_t kBlock = 256;            // all places of the children of one node lie in one block
  static constexpr size_t kLookBack = 4 * kBlock;  // older places are not searched again

  void reserve(size_t place) {
    while (units_.size() <= place) {
      units_.resize(units_.size() + kBlock);
      taken_.resize(units_.size());
      is_base_.resize(units_.size());
    }
  }

  // The keys from `begin` to `end` share `depth` bytes, which lead to the node at `place`.
  void add_children(size_t place, size_t begin, size_t end, size_t depth) {
    struct Child {
      uint8_t label;
      size_t begin, end;
    };
    std::vector<Child> children;
    for (size_t i = begin; i < end; ++i) {
      const uint8_t label = depth < keys_[i].text.size() ? static_cast<uint8_t>(keys_[i].text[depth]) : 0;
      if (children.empty() || children.back().label != label) children.push_back({label, i, i});
      children.back().end = i + 1;
    }
    if (children.empty()) return;
    const size_t base = find_base([&](size_t at) {
      return std::ranges::none_of(children, [&](const Child& child) { return taken_[at ^ child.label]; });
    });
    is_base_[base] = true;
    units_[place] |= static_cast<uint32_t>(place ^ base) << kOffsetShift;
    for (const Child& child : children) taken_[base ^ child.label] = true;
    for (const Child& child : children) {
      if (child.label == 0) {
        units_[place] |= kHasLeaf;
        units_[base] = keys_[child.begin].value | kIsValue;
      } else {
        units_[base ^ child.label] |= child.label;
        add_children(base ^ child.label, child.begin, child.end, depth + 1);
      }
    }
  }

  // Finds a free base. Nodes must not share a base, or one would find the other's children.
  template <class Fits> size_t find_base(const Fits& fits) {
    for (size_t at = std::max<size_t>(1, units_.size() - std::min(units_.size(), kLookBack));; ++at) {
      reserve(at | (kBlock - 1));
      if (!is_base_[at] && fits(at)) return at;
    }
  }

  const std::vector<Key>& keys_;
  std::vector<uint32_t> units_;
  std::vector<bool> taken_, is_base_;
};

}  // namespace

std::string compile_charsmap(std::span<const std::pair<char32_t, std::u32string>> replacements) {
  std::string texts;
  std::vector<Key> keys;
  for (const auto& [from, to] : replacements) {
    Key key{.text = {}, .value = static_cast<uint32_t>(texts.size())};
    append_utf8(key.text, from);
    for (const char32_t c : to) append_utf8(texts, c);
    texts += '\0';
    keys.push_back(std::move(key));  // the order of UTF-8 is that of the characters
  }
  const DoubleArray trie(keys);
  const auto bytes = static_cast<uint32_t>(trie.units().size() * sizeof(uint32_t));
  std::string map(sizeof bytes + bytes, '\0');
  std::memcpy(map.data(), &bytes, sizeof bytes);
  std::memcpy(map.data() + sizeof bytes, trie.units().data(), bytes);
  return map + texts;
}

}  // namespace qing::nn
