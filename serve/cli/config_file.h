// Reads options of a command from a TOML or INI file, and returns them as settings. Only serve/cli/main.cpp includes
// this header, so that the libraries do not need CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/utf8.h>
#include <qing/serve/cli/commands.h>
#include <qing/serve/runs/settings.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {

inline bool takes_list(const CLI::Option& option) { return option.get_expected_max() > 1 || option.get_delimiter(); }

/// Returns every configurable option with its value or its default. The defaults must have been captured.
inline Settings settings_of(const CLI::App& command) {
  Settings settings;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_configurable()) continue;
    Setting setting{.name = option->get_single_name(), .values = option->results()};
    const std::string type = option->get_type_name();
    setting.text = !type.starts_with("INT") && !type.starts_with("UINT") && !type.starts_with("FLOAT");
    setting.list = takes_list(*option);
    setting.separate = setting.list && !option->get_delimiter();
    if (setting.values.empty() && !option->get_default_str().empty()) {
      setting.values = setting.list ? CLI::detail::split(option->get_default_str(), ',')
                                    : std::vector<std::string>{option->get_default_str()};
    }
    settings.push_back(std::move(setting));
  }
  return settings;
}

/// Removes the byte order mark and the comments, because CLI11 2.1 takes a quoted '#' for a comment. Keeps line
/// numbers.
inline std::string without_comments(const std::string& text) {
  std::string kept;
  char quote = 0;
  bool comment = false;
  for (const char c : nn::without_byte_order_mark(text)) {
    if (c == '\n') comment = false, quote = 0;
    if (!comment && quote == 0 && c == '#') comment = true;
    if (comment) continue;
    if (quote == 0 && (c == '"' || c == '\''))
      quote = c;
    else if (c == quote)
      quote = 0;
    kept += c;
  }
  return kept;
}

/// Sets the options that the command line did not give from the file. UsageError with the file and the key for an
/// unknown key, a key that appears twice, or an invalid value.
inline void read_config(CLI::App& command, const std::filesystem::path& file) {
  std::istringstream text(without_comments(read_file(file)));
  const auto fail = [&](const std::string& key, const std::string& what) {
    throw UsageError(file.string() + ": " + key + ": " + what);
  };
  std::vector<std::string> seen;
  for (const CLI::ConfigItem& item : CLI::ConfigTOML().comment('\0')->from_config(text)) {
    if (item.name == "++" || item.name == "--") continue;  // a section begins or ends
    const std::string key = item.fullname();
    const bool section = item.parents.empty() || item.parents == std::vector<std::string>{command.get_name()};
    CLI::Option* option = section ? command.get_option_no_throw("--" + item.name) : nullptr;
    if (option == nullptr || !option->get_configurable()) {
      fail(key, "no such key; the keys are the options of qing " + command.get_name() + " --help, without dashes");
    }
    if (std::count(seen.begin(), seen.end(), item.name) > 0) fail(key, "appears twice");
    seen.push_back(item.name);  // a key is the same inside the command's section and outside of all sections
    if (!takes_list(*option) && item.inputs.size() != 1) fail(key, "takes one value");
    if (option->count() > 0) continue;  // the command line overrides the file
    try {
      option->add_result(item.inputs);
      option->run_callback();
    } catch (const CLI::ParseError& error) { fail(key, error.what()); }
  }
}

}  // namespace qing::serve::cli
