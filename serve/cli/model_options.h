// Options that several commands have.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include <qing/tensor/dtype.h>

namespace qing::serve::cli {

inline void add_model(CLI::App* command, std::filesystem::path& model) {
  command->add_option("--model", model, "Model folder. The default is the model shipped with qing")
      ->type_name("FOLDER");
}

inline void add_precision(CLI::App* command, DType& precision) {
  const auto set = [&precision](const std::string& name) {
    precision = name == "bf16" ? DType::bf16 : name == "int8" ? DType::i8 : DType::f32;
  };
  command
      ->add_option_function<std::string>("--precision", set,
                                         "Precision of matrix products. bf16 and int8 are faster and less exact")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->default_str("f32");
}

}  // namespace qing::serve::cli
