#include <qing/nn/data/label_map.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/label_rules.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

[[noreturn]] void refuse_rule(const std::string& rule, const char* what) {
  throw ValueError(fmt::format("map: '{}' {}; write NAME,NAME=LABEL", rule, what));
}

enum class Sentiment : int8_t { negative, neutral, positive };

std::optional<Sentiment> sentiment_of_word(const std::string& lower) {
  struct Word {
    std::string_view text;
    Sentiment sentiment;
  };
  static constexpr std::array<Word, 22> kWords = {
      {{"negative", Sentiment::negative}, {"neg", Sentiment::negative},     {"bad", Sentiment::negative},
       {"n", Sentiment::negative},        {"negativ", Sentiment::negative}, {"消极", Sentiment::negative},
       {"负面", Sentiment::negative},     {"负向", Sentiment::negative},    {"差评", Sentiment::negative},
       {"neutral", Sentiment::neutral},   {"neu", Sentiment::neutral},      {"neut", Sentiment::neutral},
       {"中性", Sentiment::neutral},      {"中立", Sentiment::neutral},     {"positive", Sentiment::positive},
       {"pos", Sentiment::positive},      {"good", Sentiment::positive},    {"p", Sentiment::positive},
       {"positiv", Sentiment::positive},  {"积极", Sentiment::positive},    {"正面", Sentiment::positive},
       {"正向", Sentiment::positive}}};
  const auto found = std::ranges::find(kWords, lower, &Word::text);
  return found == kWords.end() ? std::nullopt : std::optional(found->sentiment);
}

// The number of "4", "4.0", "4 stars" or "LABEL_4".
std::optional<int> number_of_name(const std::string& lower) {
  std::string_view text = lower;
  if (text.starts_with("label_")) text.remove_prefix(6);
  if (text.starts_with('+')) text.remove_prefix(1);
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view rest = text.substr(static_cast<size_t>(end - text.data()));
  const bool known = rest.empty() || rest == ".0" || rest == " star" || rest == " stars";
  return known ? std::optional(number) : std::nullopt;
}

// The sentiment of each number, if all of them belong to one of the usual scales. Smaller scales come first: 1 and 2
// alone are two sentiments, beside 5 they are stars.
std::map<int, Sentiment> sentiments_of(const std::set<int>& numbers) {
  using enum Sentiment;
  static const std::array<std::map<int, Sentiment>, 7> kScales = {
      {{{0, negative}, {1, positive}},
       {{-1, negative}, {1, positive}},
       {{1, negative}, {2, positive}},
       {{-1, negative}, {0, neutral}, {1, positive}},
       {{0, negative}, {1, neutral}, {2, positive}},
       {{1, negative}, {2, negative}, {3, neutral}, {4, positive}, {5, positive}},
       {{0, negative}, {1, negative}, {2, neutral}, {3, positive}, {4, positive}}}};
  if (numbers.size() < 2) return {};
  for (const auto& scale : kScales) {
    if (std::ranges::all_of(numbers, [&](int number) { return scale.contains(number); })) return scale;
  }
  return {};
}

// A name as it stands in a rule.
std::string escaped_name(const std::string& name) {
  std::string text;
  for (const char c : name) {
    if (c == ',' || c == '=' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

// Whether the shell takes the characters as they are. All bytes of other alphabets are such.
bool is_plain_in_shell(char c) {
  constexpr std::string_view kPlain = "_-.,=+:/@%";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kPlain.find(c) != kPlain.npos ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::string map_option(std::span<const std::string> names, const std::string& label) {
  std::vector<std::string> escaped;
  for (const std::string& name : names) {
    if (name.find('\'') != name.npos) return {};
    escaped.push_back(escaped_name(name));
  }
  const std::string rule = fmt::format("{}={}", fmt::join(escaped, ","), label);
  return "--map " + (std::ranges::all_of(rule, is_plain_in_shell) ? rule : "'" + rule + "'");
}

LabelMap::LabelMap(std::span<const std::string> rules) {
  for (const std::string& rule : rules) {
    std::vector<std::string> names(1);
    bool behind = false;  // the equals sign
    for (size_t i = 0; i < rule.size(); ++i) {
      if (rule[i] == '\\' && i + 1 < rule.size()) {
        names.back() += rule[++i];
      } else if (rule[i] == '=' && !behind) {
        behind = true;
        names.emplace_back();
      } else if (rule[i] == ',' && !behind) {
        names.emplace_back();
      } else {
        names.back() += rule[i];
      }
    }
    if (!behind) refuse_rule(rule, "has no '='");
    for (std::string& name : names) name = std::string(trimmed(name));
    const std::string label = names.back();
    names.pop_back();
    if (label.empty()) refuse_rule(rule, "has no label behind the '='");
    for (const std::string& name : names) {
      if (name.empty()) refuse_rule(rule, "has an empty name before the '='");
      const auto [found, added] = labels_.emplace(name, label);
      if (added || found->second == label) continue;
      throw ValueError(
          fmt::format("map: '{}' is both {} and {}; give each name one label", name, found->second, label));
    }
  }
}

const std::string& LabelMap::operator()(const std::string& name) const {
  if (labels_.empty()) return name;
  auto found = labels_.find(name);
  if (found == labels_.end()) found = labels_.find(std::string(trimmed(name)));
  return found == labels_.end() ? name : found->second;
}

std::string proposed_map(const std::set<std::string>& names, std::span<const std::string> labels) {
  std::set<std::string> unknown;
  for (const std::string& name : names) {
    if (std::ranges::find(labels, name) == labels.end()) unknown.insert(name);
  }
  std::set<int> numbers;
  for (const std::string& name : unknown) {
    if (const auto number = number_of_name(lowered(trimmed(name)))) numbers.insert(*number);
  }
  const std::map<int, Sentiment> scale = sentiments_of(numbers);
  const auto sentiment_of = [&](const std::string& lower) {
    const auto number = number_of_name(lower);
    if (!number) return sentiment_of_word(lower);
    const auto found = scale.find(*number);
    return found == scale.end() ? std::nullopt : std::optional(found->second);
  };
  std::map<size_t, std::vector<std::string>> names_of_label;  // by the label's index
  for (const std::string& name : unknown) {
    const std::string lower = lowered(trimmed(name));
    const auto sentiment = sentiment_of(lower);
    const auto fits = [&](const std::string& label) {
      const std::string other = lowered(trimmed(label));
      return other == lower || (sentiment && sentiment_of_word(other) == sentiment);
    };
    const auto found = std::ranges::find_if(labels, fits);
    if (found == labels.end()) return {};
    names_of_label[static_cast<size_t>(found - labels.begin())].push_back(name);
  }
  std::string options;
  for (const auto& [label, of_label] : names_of_label) {
    const std::string option = map_option(of_label, labels[label]);
    if (option.empty()) return {};
    options += (options.empty() ? "" : " ") + option;
  }
  return options;
}

}  // namespace qing::nn
