#include <qing/serve/runs/settings.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include <qing/serve/common/characters.h>
#include <qing/serve/runs/list_text.h>
#include <qing/serve/runs/toml_file.h>

namespace qing::serve::cli {
namespace {

std::string quoted_for_shell(const std::string& value) {
  if (!value.empty() && has_only(value, is_alphanumeric, "_-./,:+=@%")) return value;
  std::string quoted = "'";
  for (const char c : value) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::optional<double> number_of(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return text.empty() || *end != '\0' ? std::nullopt : std::optional(value);
}

bool same(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto x = number_of(a), y = number_of(b);
  return x && y && *x == *y;
}

std::string shown(const std::vector<std::string>& values) {
  return values.empty() ? "not given" : fmt::format("{}", fmt::join(values, ","));
}

}  // namespace

const std::vector<std::string>& values_of(const Settings& settings, const std::string& name) {
  static const std::vector<std::string> none;
  const auto found = std::find_if(settings.begin(), settings.end(), [&](const Setting& s) { return s.name == name; });
  return found == settings.end() ? none : found->values;
}

void set_values(Settings& settings, const std::string& name, std::vector<std::string> values) {
  const auto found = std::find_if(settings.begin(), settings.end(), [&](const Setting& s) { return s.name == name; });
  if (found != settings.end()) found->values = std::move(values);
}

std::string to_toml(const Settings& settings) {
  std::string text;
  for (const Setting& setting : settings) {
    if (setting.values.empty()) continue;
    std::vector<std::string> values;
    for (const std::string& value : setting.values) {
      // ".5" and a whole number above 2^63 are numbers of an option, but not of TOML.
      values.push_back(setting.text || !is_toml_number(value) ? toml_quoted(value) : value);
    }
    const std::string all = fmt::format("{}", fmt::join(values, ", "));
    text += fmt::format("{} = {}\n", setting.name, setting.list ? "[" + all + "]" : all);
  }
  return text;
}

std::string to_command_line(const Settings& settings) {
  std::string text;
  for (const Setting& setting : settings) {
    if (setting.values.empty()) continue;
    const std::vector<std::string> joined = {setting.list ? list_text(setting.values)
                                                          : fmt::format("{}", fmt::join(setting.values, ","))};
    for (const std::string& value : setting.separate ? setting.values : joined) {
      text += fmt::format(" --{} {}", setting.name, quoted_for_shell(value));
    }
  }
  return text.empty() ? text : text.substr(1);
}

std::vector<std::string> differences(const Settings& before, const Settings& now,
                                     const std::vector<std::string>& without) {
  std::vector<std::string> found;
  const auto compare = [&](const std::string& name) {
    if (std::count(without.begin(), without.end(), name) > 0) return;
    const auto &was = values_of(before, name), &is = values_of(now, name);
    if (std::equal(was.begin(), was.end(), is.begin(), is.end(), same)) return;
    found.push_back(fmt::format("--{} is {}, was {}", name, shown(is), shown(was)));
  };
  for (const Setting& setting : now) compare(setting.name);
  for (const Setting& setting : before) {
    const bool known = std::any_of(now.begin(), now.end(), [&](const Setting& s) { return s.name == setting.name; });
    if (!known) compare(setting.name);
  }
  return found;
}

}  // namespace qing::serve::cli
