// Options of a command from a TOML file, and back.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/list_text.h>
#include <qing/serve/runs/settings.h>
#include <qing/serve/runs/toml_file.h>

namespace qing::serve::cli {

inline bool takes_list(const CLI::Option& option) { return option.get_expected_max() > 1 || option.get_delimiter(); }

/// The names that CLI11 has split at every comma, also at those of a name.
inline std::vector<std::string> items_of(const std::vector<std::string>& pieces) {
  return pieces.empty() ? pieces : list_items(CLI::detail::join(pieces, ","));
}

/// Adds an option that takes a list of names as list_text.h writes it.
inline CLI::Option* add_list(CLI::App* command, const std::string& name, std::vector<std::string>& values,
                             const std::string& help) {
  const auto set = [&values](const std::vector<std::string>& pieces) { values = items_of(pieces); };
  return command->add_option_function<std::vector<std::string>>(name, set, help)
      ->delimiter(',')
      ->allow_extra_args(false)
      ->default_str(list_text(values));
}

/// Returns every configurable option with its value or its default. The defaults must have been captured.
inline Settings settings_of(const CLI::App& command) {
  Settings settings;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_configurable()) continue;
    Setting setting{.name = option->get_single_name(),
                    .values = option->get_delimiter() ? items_of(option->results()) : option->results()};
    const std::string type = option->get_type_name();
    setting.text = !type.starts_with("INT") && !type.starts_with("UINT") && !type.starts_with("FLOAT");
    setting.list = takes_list(*option);
    setting.separate = setting.list && !option->get_delimiter();
    if (setting.values.empty() && !option->get_default_str().empty()) {
      setting.values =
          setting.list ? list_items(option->get_default_str()) : std::vector<std::string>{option->get_default_str()};
    }
    settings.push_back(std::move(setting));
  }
  return settings;
}

/// What is wrong with a key of a configuration file.
struct ConfigFault {
  std::int64_t line;
  std::string key, what;
  std::string text(const std::filesystem::path& file) const {
    return fmt::format("{}:{}: {}: {}", file.string(), line, key, what);
  }
};

/// Gives the options that the command line did not give the values of the file. Returns what is wrong: an unknown key,
/// one that stands twice, or a value that is no such option's. IoError; UsageError "file:line: ..." for a file that is
/// no TOML.
inline std::vector<ConfigFault> apply_config(CLI::App& command, const std::filesystem::path& file) {
  std::vector<std::string> seen;
  std::vector<ConfigFault> faults;
  for (const TomlEntry& entry : read_toml(file)) {
    const std::string key = entry.section.empty() ? entry.key : entry.section + "." + entry.key;
    const auto fault = [&](const std::string& what) { faults.push_back({entry.line, key, what}); };
    const bool section = entry.section.empty() || entry.section == command.get_name();
    CLI::Option* option = section ? command.get_option_no_throw("--" + entry.key) : nullptr;
    if (option == nullptr || !option->get_configurable()) {
      fault("no such key; the keys are the options of qing " + command.get_name() + " --help, without dashes");
    } else if (std::ranges::find(seen, entry.key) != seen.end()) {
      fault("appears twice");  // inside the command's section and outside of all it is the same key
    } else if (!takes_list(*option) && entry.values.size() != 1) {
      fault("takes one value");
    } else if (option->count() == 0) {  // the command line goes before the file
      try {
        // The names of a list in the file are whole.
        option->add_result(entry.list && option->get_delimiter() ? std::vector{list_text(entry.values)} : entry.values);
        option->run_callback();
      } catch (const CLI::ParseError& error) { fault(error.what()); }
    }
    seen.push_back(entry.key);
  }
  return faults;
}

/// apply_config(); UsageError that names the file, the line and the key of each fault.
inline void read_config(CLI::App& command, const std::filesystem::path& file) {
  std::string all;
  for (const ConfigFault& fault : apply_config(command, file)) all += (all.empty() ? "" : "\n") + fault.text(file);
  if (!all.empty()) throw UsageError(all);
}

}  // namespace qing::serve::cli
