// The options of a run as names and values: what config.toml, run.json and the command to repeat it are written from.
#pragma once

#include <string>
#include <vector>

namespace qing::serve::cli {

/// One option.
struct Setting {
  std::string name;                 ///< without dashes
  std::vector<std::string> values;  ///< as one would type them; empty: none were given
  bool text = false;                ///< not a number: quoted in a configuration file
  bool list = false;                ///< takes several values
  bool separate = false;            ///< `--name A --name B` rather than `--name A,B`
};

using Settings = std::vector<Setting>;

/// The values of a name, empty without such a setting.
const std::vector<std::string>& values_of(const Settings& settings, const std::string& name);

/// A line "name = value" each, as --config reads them; those without values are left out.
std::string to_toml(const Settings& settings);

/// "--name value ...", quoted for a POSIX shell.
std::string to_command_line(const Settings& settings);

/// What differs, a sentence each: "--layers is 4, was 2". Numbers are compared as such.
std::vector<std::string> differences(const Settings& before, const Settings& now,
                                     const std::vector<std::string>& without);

}  // namespace qing::serve::cli
