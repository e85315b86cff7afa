// The options of a run as names and values. config.toml, run.json and the command to repeat the run are written from
// them.
#pragma once

#include <string>
#include <vector>

namespace qing::serve::cli {

/// One option.
struct Setting {
  std::string name;                 ///< without dashes
  std::vector<std::string> values;  ///< as typed on the command line; empty: not given
  bool text = false;                ///< not a number: quoted in a configuration file
  bool list = false;                ///< takes several values
  bool separate = false;            ///< `--name A --name B` rather than `--name A,B`
};

using Settings = std::vector<Setting>;

/// Returns the values of a name, empty without such a setting.
const std::vector<std::string>& values_of(const Settings& settings, const std::string& name);

/// Replaces the values of a setting that is there.
void set_values(Settings& settings, const std::string& name, std::vector<std::string> values);

/// A line "name = value" each, as --config reads them; those without values are left out.
std::string to_toml(const Settings& settings);

/// "--name value ...", quoted for a POSIX shell.
std::string to_command_line(const Settings& settings);

/// Returns one sentence per difference: "--layers is 4, was 2". Numbers are compared by value.
std::vector<std::string> differences(const Settings& before, const Settings& now,
                                     const std::vector<std::string>& without);

}  // namespace qing::serve::cli
