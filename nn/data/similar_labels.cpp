#include <qing/nn/data/similar_labels.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/label_rules.h>
#include <qing/nn/text/normalizer.h>
#include <qing/nn/utf8.h>

namespace qing::nn {
namespace {

using Names = std::vector<std::string>;

// The names that are the same number, by the number.
std::map<double, Names> equal_numbers(const std::map<std::string, int64_t>& counts) {
  std::map<double, Names> found;
  for (const auto& [label, rows] : counts) {
    if (const std::optional<double> number = number_of(label)) found[*number].push_back(label);
  }
  return found;
}

// The text without its blanks and what else is invisible.
std::string without_blanks(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    if (!decode_utf8(text, i)) ++i;
    const std::string_view character = text.substr(begin, i - begin);
    if (!is_blank(character)) out += character;
  }
  return out;
}

// The same for letters. Numbers are found by their values.
std::map<std::string, Names> equal_letters(const std::map<std::string, int64_t>& counts) {
  std::map<std::string, Names> found;
  for (const auto& [label, rows] : counts) {
    if (!number_of(label)) found[without_blanks(lowered(label))].push_back(label);
  }
  return found;
}

const std::string& shortest_of(const Names& names) { return *std::ranges::min_element(names, {}, &std::string::size); }

bool stands_for_nothing(const std::string& label) {
  constexpr std::array<std::string_view, 4> kMissing = {"nan", "null", "<na>", "n/a"};
  return std::ranges::count(kMissing, lowered(trimmed(label))) > 0;
}

std::string about_equal(const Names& names, const std::string& kept, const char* what,
                        const std::map<std::string, int64_t>& counts) {
  Names others, counted;
  for (const std::string& name : names) {
    if (name != kept) others.push_back(name);
    const int64_t rows = counts.at(name);
    counted.push_back(fmt::format("'{}' ({} {})", name, rows, rows == 1 ? "row" : "rows"));
  }
  const std::string option = map_option(others, kept);
  return fmt::format("the labels {} {} and are learned as {} labels{}", fmt::join(counted, ", "), what, names.size(),
                     option.empty() ? "; give them one name" : "; join them with " + option);
}

}  // namespace

std::optional<size_t> place_of_label(std::span<const std::string> labels, const std::string& name, Problem problem) {
  auto found = std::ranges::find(labels, name);
  if (found == labels.end() && problem == Problem::ordinal) {
    const std::optional<double> number = number_of(name);
    if (number) found = std::ranges::find(labels, number, number_of);
  }
  if (found == labels.end()) return std::nullopt;
  return static_cast<size_t>(found - labels.begin());
}

std::map<std::string, int64_t> join_equal_numbers(const std::map<std::string, int64_t>& counts) {
  std::map<std::string, int64_t> joined = counts;
  for (const auto& [number, names] : equal_numbers(counts)) {
    const std::string& kept = shortest_of(names);
    for (const std::string& name : names) {
      if (name == kept) continue;
      joined[kept] += joined[name];
      joined.erase(name);
    }
  }
  return joined;
}

std::vector<std::string> doubtful_labels(const std::map<std::string, int64_t>& counts) {
  std::vector<std::string> doubts;
  for (const auto& [number, names] : equal_numbers(counts)) {
    if (names.size() > 1) doubts.push_back(about_equal(names, shortest_of(names), "are the same number", counts));
  }
  for (const auto& [letters, names] : equal_letters(counts)) {
    if (names.size() == 1) continue;
    const auto rows = [&](const std::string& name) { return counts.at(name); };
    doubts.push_back(about_equal(names, *std::ranges::max_element(names, {}, rows),
                                 "differ only in capital letters or blanks", counts));
  }
  for (const auto& [label, rows] : counts) {
    if (!stands_for_nothing(label)) continue;
    doubts.push_back(
        fmt::format("the label '{}' of {} {} is what programs write for a missing value; remove these rows, or give "
                    "them a label",
                    label, rows, rows == 1 ? "row" : "rows"));
  }
  return doubts;
}

}  // namespace qing::nn
