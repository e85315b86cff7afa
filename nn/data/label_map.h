// Labels of files under other names: rules such as "1,2=negative", and the rules that a file's labels suggest.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>

namespace qing::nn {

/// Immutable, so all members are thread-safe.
class LabelMap {
 public:
  LabelMap() = default;
  /// Each rule is "NAME,NAME,...=LABEL". Blanks around names do not count. A comma, an equals sign or a backslash of a
  /// name stands behind a backslash. ValueError for a rule of another form, and for a name with two labels.
  explicit LabelMap(std::span<const std::string> rules);

  /// The label of a name; the name itself without a rule for it.
  const std::string& operator()(const std::string& name) const;
  bool empty() const { return labels_.empty(); }

 private:
  std::map<std::string, std::string> labels_;
};

/// The options that give each name one of the labels: "--map 1,2=negative --map 3=neutral --map 4,5=positive". It knows
/// labels in other cases of letters, words for sentiments, and the numbers of a scale from negative to positive. Names
/// that are labels need no rule. Empty when some name suggests no label.
std::string proposed_map(const std::set<std::string>& names, std::span<const std::string> labels);

}  // namespace qing::nn
