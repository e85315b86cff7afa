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
          use(at);
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
    uint32_t free = labels.size() == 1 ? free_[0].next : free_for_many_;
    for (int tried = 0; tried < kTries && free != 0; ++tried, free = free_[free].next) {
      if (free <= labels[0]) continue;
      const size_t base = free - labels[0] - 1;
      const bool fits = std::all_of(labels.begin() + 1, labels.end(), [&](unsigned char label) {
        const size_t at = base + label + 1;
        return at >= units_.size() || !used_[at];
      });
      if (fits) return reserve(base, labels.back());
    }
    if (labels.size() > 1) free_for_many_ = free;
    const size_t end = std::max<size_t>(units_.size(), labels[0] + 1);
    return reserve(end - labels[0] - 1, labels.back());
  }

  // Free places are a ring through place 0, which the root has.
  void append_free(size_t at) {
    const auto place = static_cast<uint32_t>(at);
    free_.push_back({.next = 0, .previous = free_[0].previous});
    free_[free_[0].previous].next = place;
    free_[0].previous = place;
    if (free_for_many_ == 0) free_for_many_ = place;
  }
  void use(uint32_t at) {
    used_[at] = true;
    const auto [next, previous] = free_[at];
    free_[previous].next = next;
    free_[next].previous = previous;
    if (free_for_many_ == at) free_for_many_ = next;
  }

  uint32_t reserve(size_t base, unsigned char last) {
    const size_t size = base + last + 2;
    if (size > most_units_) throw DataError("the vocabulary's pieces branch so much that their trie does not fit");
    for (size_t at = units_.size(); at < size; ++at) {
      units_.emplace_back();
      used_.push_back(false);
      append_free(at);
    }
    return static_cast<uint32_t>(base);
  }

  const Keys& keys_;
  std::vector<Unit> units_;
  std::vector<bool> used_;
  struct Free {
    uint32_t next = 0, previous = 0;
  };
  std::vector<Free> free_ = std::vector<Free>(1);
  uint32_t free_for_many_ = 0;  // where nodes of several children begin to look; 0 for none
  size_t most_units_;
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

}  // namespace qing::nn::text
