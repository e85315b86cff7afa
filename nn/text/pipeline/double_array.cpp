#include <qing/nn/text/pipeline/double_array.h>

#include <algorithm>

#include <qing/tensor/errors.h>

namespace qing::nn::text {

// Nodes are placed breadth first. A node's children lie at base + byte + 1, so a base is wanted for which all of these
// places are free.
class DoubleArrayBuilder {
 public:
  using Keys = std::vector<std::pair<std::string_view, int32_t>>;
  using Unit = DoubleArray::Unit;

  explicit DoubleArrayBuilder(const Keys& keys) : keys_(keys) {
    size_t bytes = 0;
    for (const auto& key : keys) bytes += key.first.size();
    most_units_ = 8 * bytes + (1 << 20);
    used_.resize(1, true);
    units_.resize(1);
  }

  std::vector<Unit> run() && {
    struct Node {
      uint32_t at, depth;
      size_t begin, end;  // of the keys below
    };
    std::vector<Node> level{{DoubleArray::kRoot, 0, 0, keys_.size()}}, below;
    std::vector<unsigned char> labels;
    std::vector<size_t> begins;
    while (!level.empty()) {
      below.clear();
      for (const Node& node : level) {
        labels.clear();
        begins.clear();
        size_t i = node.begin;
        if (i < node.end && keys_[i].first.size() == node.depth) units_[node.at].value = keys_[i++].second;
        for (; i < node.end; ++i) {
          const auto byte = static_cast<unsigned char>(keys_[i].first[node.depth]);
          if (!labels.empty() && labels.back() == byte) continue;
          labels.push_back(byte);
          begins.push_back(i);
        }
        if (labels.empty()) continue;
        begins.push_back(node.end);
        const uint32_t base = find_base(labels);
        units_[node.at].base = base;
        for (size_t child = 0; child < labels.size(); ++child) {
          const uint32_t at = base + labels[child] + 1;
          units_[at].parent = node.at;
          used_[at] = true;
          below.push_back({at, node.depth + 1, begins[child], begins[child + 1]});
        }
      }
      level.swap(below);
    }
    while (units_.size() > 1 && units_.back().parent == DoubleArray::kNone) units_.pop_back();
    return std::move(units_);
  }

 private:
  // A place for the children, first among what the array has, else behind it. Few places are tried, so that no keys
  // take more than linear time. A single child fits into any free place.
  uint32_t find_base(const std::vector<unsigned char>& labels) {
    constexpr int kTries = 64;
    size_t& start = labels.size() == 1 ? first_free_ : first_free_for_many_;
    while (start < used_.size() && used_[start]) ++start;
    size_t free = start;
    for (int tried = 0; tried < kTries && free < used_.size(); ++tried) {
      if (free > labels[0]) {
        const size_t base = free - labels[0] - 1;
        const bool fits = std::all_of(labels.begin() + 1, labels.end(), [&](unsigned char label) {
          const size_t at = base + label + 1;
          return at >= used_.size() || !used_[at];
        });
        if (fits) return reserve(base, labels.back());
      }
      do ++free;
      while (free < used_.size() && used_[free]);
    }
    if (labels.size() > 1 && free < used_.size()) start = free;
    const size_t end = std::max<size_t>(used_.size(), labels[0] + 1);
    return reserve(end - labels[0] - 1, labels.back());
  }

  uint32_t reserve(size_t base, unsigned char last) {
    const size_t size = base + last + 2;
    if (size > most_units_) throw DataError("the vocabulary's pieces branch so much that their trie does not fit");
    if (size > used_.size()) {
      used_.resize(size, false);
      units_.resize(size);
    }
    return static_cast<uint32_t>(base);
  }

  const Keys& keys_;
  std::vector<Unit> units_;
  std::vector<bool> used_;
  size_t first_free_ = 1, first_free_for_many_ = 1, most_units_;
};

DoubleArray DoubleArray::build(std::vector<std::pair<std::string_view, int32_t>> keys) {
  std::erase_if(keys, [](const auto& key) { return key.first.empty(); });
  std::stable_sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  size_t kept = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i + 1 == keys.size() || keys[i + 1].first != keys[i].first) keys[kept++] = keys[i];
  }
  keys.resize(kept);
  DoubleArray result;
  if (!keys.empty()) result.units_ = DoubleArrayBuilder(keys).run();
  return result;
}

uint32_t DoubleArray::walk(std::string_view key, uint32_t node) const {
  for (const char c : key) {
    node = step(node, static_cast<unsigned char>(c));
    if (node == kNone) break;
  }
  return node;
}

int32_t DoubleArray::find(std::string_view key) const {
  const uint32_t node = walk(key);
  return node == kNone ? -1 : value(node);
}

}  // namespace qing::nn::text
