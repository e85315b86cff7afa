// The table of training options on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include <qing/optim/classifier/train_options.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/number_from.h>
#include <qing/tensor/dtype.h>

namespace qing::serve::cli {

/// Adds an option for every row of the table that is for the recipe. The options write into `values`, which must
/// outlive the command.
inline void add_train_options(CLI::App* command, optim::TrainOptions& values, optim::OptionUse recipe) {
  for (const optim::TrainOption& row : optim::train_option_table()) {
    if (!row.is_for(recipe)) continue;
    const std::string name = "--" + row.option_name();
    const auto add = [&](auto member) -> CLI::Option* {
      auto& value = values.*member;
      using T = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<T, DType>) {
        const auto set = [&value](const std::string& text) { value = text == "bf16" ? DType::bf16 : DType::f32; };
        return command->add_option_function<std::string>(name, set, row.help)
            ->check(CLI::IsMember({"f32", "bf16"}))
            ->default_str("f32");
      } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
        return add_list(command, name, value, fmt::format("{}. A comma of a name stands behind a backslash", row.help));
      } else if constexpr (std::is_same_v<T, std::vector<std::filesystem::path>>) {
        return command->add_option(name, value, row.help)->allow_extra_args(false)->type_name("FOLDER");
      } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
        return command->add_option(name, value, row.help)->type_name("FOLDER");
      } else if constexpr (std::is_same_v<T, uint64_t>) {
        return command->add_option(name, value, row.help)->capture_default_str();
      } else {
        return command->add_option(name, value, row.help)->check(in_range<T>(row.range))->capture_default_str();
      }
    };
    std::visit(add, row.member)->group(row.group);
  }
}

}  // namespace qing::serve::cli
