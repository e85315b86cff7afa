// How --help looks.
#pragma once

#include <CLI/CLI.hpp>
#include <sstream>
#include <string>

namespace qing::serve::cli {

/// Prints the name and type of an option, then a column with its description, range, default and environment variable
/// as sentences.
class HelpFormat : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";       // a flag
    const std::string type = option->get_type_name();  // "TYPE:description of a check:..."
    return " " + type.substr(0, type.find(':')) + (option->get_required() ? " REQUIRED" : "");
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    std::string text = option->get_description();
    if (!text.empty() && text.back() != '.') text += '.';
    const std::string type = option->get_type_name();
    const std::string check = type.substr(type.rfind(':') + 1);
    if (check.starts_with("in ") || check.starts_with("finite ")) text += " Must be " + check + ".";
    if (check.starts_with("{")) text += " One of " + check + ".";
    if (!option->get_default_str().empty()) text += " Default: " + option->get_default_str() + ".";
    if (!option->get_envname().empty()) text += " Environment: " + option->get_envname() + ".";
    return wrapped(text);
  }

 private:
  static std::string wrapped(const std::string& text) {
    constexpr size_t kColumn = 88;
    std::istringstream words(text);
    std::string line, lines;
    for (std::string word; words >> word;) {
      if (!line.empty() && line.size() + 1 + word.size() > kColumn) lines += line + "\n", line.clear();
      line += (line.empty() ? "" : " ") + word;
    }
    return lines + line;
  }
};

}  // namespace qing::serve::cli
