// What the commands that take texts have in common: texts as arguments, in a file, or as lines of stdin.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/table_options.h>
#include <qing/tensor/dtype.h>

namespace qing::serve::cli {

struct TextArguments {
  std::filesystem::path model;     ///< empty: none was given
  std::filesystem::path file;      ///< empty: none
  std::vector<std::string> texts;  ///< neither these nor a file: lines of stdin
  bool json = false;
  DType precision = DType::f32;  ///< of products, for commands with the option
  TableArguments table = {};     ///< how the file is read, unless it has a text a line
  bool lines = false;            ///< the file has a text a line, whatever its name
};

/// Says where a text of a batch comes from, by its index: "texts.csv:3".
using Where = std::function<std::string(size_t)>;
using Consume = std::function<void(const std::vector<std::string>&, const Where&)>;

/// Adds a command with --model and an option for the file, "--file". Arguments that are no options are texts, so CLI11
/// does not parse them. `arguments` outlive the command; `run` runs it.
CLI::App* add_text_command(CommandLine& line, const char* name, const char* about, const char* file_option,
                           TextArguments& arguments, std::function<void()> run);
/// UsageError when there are no texts, and stdin is a terminal.
void require_input(const TextArguments& arguments);
/// Hands over all texts, batch by batch. The lines of stdin are handed over as they come, so that a program can write
/// a line and wait for its result. IoError, DataError, LineError.
void for_each_batch(const TextArguments& arguments, const Consume& consume);

/// Calls compute(texts). When that throws a DataError "text I: ..." of a model, each text is computed alone, and the
/// first that is to blame is named as `where` has it.
void compute_batch(const std::vector<std::string>& texts, const Where& where,
                   const std::function<void(std::span<const std::string>)>& compute);

}  // namespace qing::serve::cli
