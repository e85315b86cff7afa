#include <qing/serve/cli/text_command.h>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <string_view>
#include <utility>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/utf8.h>
#include <qing/serve/cli/model_options.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

constexpr size_t kStdinBatch = 64, kFileBatch = 512;

void strip_carriage_return(std::string& line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  const std::string_view content = nn::without_byte_order_mark(bytes);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    strip_carriage_return(lines.emplace_back(content.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

// Processes the lines that are available instead of waiting for a full batch. So a program can write a line and wait
// for its result.
void consume_stdin(const Consume& consume) {
  std::vector<std::string> batch;
  size_t first = 0;
  const Where where = [&](size_t i) { return fmt::format("stdin:{}", first + i + 1); };
  const auto flush = [&] {
    if (batch.empty()) return;
    consume(batch, where);
    flush_output();
    first += batch.size();
    batch.clear();
  };
  for (std::string line; std::getline(std::cin, line);) {
    if (first == 0 && batch.empty()) line.erase(0, line.size() - nn::without_byte_order_mark(line).size());
    strip_carriage_return(line);
    batch.push_back(std::move(line));
    if (batch.size() == kStdinBatch || std::cin.rdbuf()->in_avail() <= 0) flush();
  }
  flush();
}

// The texts of a table.
void consume_table(const TextArguments& arguments, const Consume& consume) {
  SkippedRows skipped;
  const nn::DatasetOptions options = dataset_options(arguments.table, skipped);
  nn::RowOptions rows = row_options(options);
  rows.needs_label = rows.needs_text = false;
  nn::LabelledRowReader reader(arguments.file, rows);
  std::vector<std::string> batch;
  std::vector<size_t> lines;
  bool told = false;
  for (bool more = true; more;) {
    const std::optional<nn::LabelledRow> row = next_row(reader, options);
    more = row.has_value();
    if (row) {
      batch.push_back(row->text);
      lines.push_back(row->line);
    }
    if (!std::exchange(told, true) && !reader.guesses().empty()) say_guesses(arguments.file, reader.guesses());
    if (batch.empty() || (more && batch.size() < kFileBatch)) continue;
    consume(batch, [&](size_t i) { return fmt::format("{}:{}", arguments.file.string(), lines[i]); });
    batch.clear();
    lines.clear();
  }
  skipped.report();
}

}  // namespace

void for_each_batch(const TextArguments& arguments, const Consume& consume) {
  if (!arguments.texts.empty()) {
    consume(arguments.texts, [](size_t i) { return fmt::format("text {}", i + 1); });
  }
  if (!arguments.file.empty() && arguments.lines) {
    consume(lines_of(arguments.file), [&](size_t i) { return fmt::format("{}:{}", arguments.file.string(), i + 1); });
  } else if (!arguments.file.empty()) {
    consume_table(arguments, consume);
  }
  if (arguments.texts.empty() && arguments.file.empty()) consume_stdin(consume);
}

void compute_batch(const std::vector<std::string>& texts, const Where& where,
                   const std::function<void(std::span<const std::string>)>& compute) {
  constexpr std::string_view kFirst = "text 0: ";
  try {
    compute(texts);
  } catch (const DataError&) {
    for (size_t i = 0; i < texts.size(); ++i) {
      try {
        compute(std::span(texts).subspan(i, 1));
      } catch (const DataError& error) {
        const std::string_view why = error.what();
        if (!why.starts_with(kFirst)) throw;  // which names the place already, such as a file
        throw DataError(fmt::format("{}: {}", where(i), why.substr(kFirst.size())));
      }
    }
    throw;
  }
}

void require_input(const TextArguments& arguments) {
  if (arguments.texts.empty() && arguments.file.empty() && isatty(STDIN_FILENO) == 1) {
    throw UsageError("no texts: give them as arguments, in a file, or on stdin");
  }
}

// The texts are the arguments that CLI11 does not parse. As a positional option it would read "[good, cheap]" as a list
// of two.
CLI::App* add_text_command(CommandLine& line, const char* name, const char* about, const char* file_option,
                           TextArguments& arguments, std::function<void()> run) {
  CLI::App* command = line.app.add_subcommand(name, about);
  add_model(command, arguments.model);
  command
      ->add_option(file_option, arguments.file,
                   arguments.lines
                       ? "Input file with one text per line"
                       : "Input file: a table (.csv, .tsv, .jsonl, .json, .xlsx) or one text per line (.txt)")
      ->type_name("FILE");
  if (!arguments.lines) add_table_options(*command, arguments.table, false);
  command->allow_extras();
  command->footer(
      "Arguments are the texts. Write -- before texts that begin with a dash. Without texts and --file, each line "
      "of stdin is a text.");
  command->callback([&line, command, &arguments, run = std::move(run)] {
    for (const std::string& item : command->remaining()) {
      if (item.size() > 1 && item[0] == '-') {
        throw UsageError("unknown option " + item + "; write -- before texts that begin with a dash");
      }
      arguments.texts.push_back(item);
    }
    arguments.texts.insert(arguments.texts.end(), line.after_dashes.begin(), line.after_dashes.end());
    line.takes_after_dashes = true;
    line.run = run;
  });
  return command;
}

}  // namespace qing::serve::cli
