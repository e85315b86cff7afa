// The option --map of the commands that read labelled texts.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <qing/nn/data/label_map.h>
#include <qing/serve/common/usage_error.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {

inline CLI::Option* add_map(CLI::App* command, std::vector<std::string>& rules) {
  return command
      ->add_option("--map", rules,
                   "Names of labels in the files, and the label that they mean: 1,2=negative. Repeat it for several "
                   "labels")
      ->allow_extra_args(false)
      ->type_name("RULE");
}

/// UsageError for a rule that is none.
inline nn::LabelMap label_map(const std::vector<std::string>& rules) {
  try {
    return nn::LabelMap(rules);
  } catch (const ValueError& error) { throw UsageError(fmt::format("--{}", error.what())); }
}

}  // namespace qing::serve::cli
