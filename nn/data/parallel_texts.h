// Pairs of texts of the same meaning in two languages, from tables of every format that table_reader.h reads and from
// two files of lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/data/line_reader.h>
#include <qing/nn/data/table_format.h>

namespace qing::nn {

struct TextPair {
  std::string source, target;  ///< valid UTF-8, not blank
  std::string document = {};   ///< of a table with such a column; empty without one
  std::string origin = {};     ///< the column "source" of a table whose texts have other columns; else empty
  size_t line = 0;             ///< where the row begins in the file, from 1
};

struct ParallelOptions {
  /// The columns of a table. An empty one is guessed: "source" and "target", "src" and "tgt", or the only two columns
  /// that are named like languages, such as "en" and "zh" or "en-US" and "zh-CN", in the order of the file. A name of
  /// JSON may be a path into nested objects: "translation.en".
  std::string source_column = {}, target_column = {};
  /// Languages, such as "zh" and "en". Columns that are named like them are taken before the order of the file counts.
  std::string source_language = {}, target_language = {};
  size_t max_line_bytes = 1 << 20;  ///< a longer line is refused, not truncated
  TableOptions table = {};          ///< the separator, the encoding and the sheet
  /// Is told of each row that cannot be used, which is then skipped. Without it, such a row ends the reading.
  std::function<void(const LineError&)> on_bad_row = {};
  /// Is told what was guessed of a file, such as "source 'en', target 'zh'", if anything was.
  std::function<void(const std::filesystem::path&, const std::string&)> on_guess = {};
};

struct ParallelTexts {
  std::vector<TextPair> pairs;
  size_t blank = 0;  ///< pairs that were left out, because a side is blank
  /// The columns that hold the texts. Of two files their suffixes without the dot, which are often the languages.
  std::string source_column, target_column;
};

/// Whether a name is one of a language: two or three lower-case letters that ISO 639 has, perhaps with a script or a
/// region behind them: "en", "zh", "zh-Hans", "pt_BR".
bool is_language(std::string_view name);
/// The language that a column or the suffix of a file names, as models write it: zh_Hans of "translation.zh-Hans".
/// Empty if it names none.
std::string language_of_column(std::string_view column);

/// The pairs of a table. LineError "path:line: what; remedy" for a row that cannot be read; DataError for a file
/// without pairs, and for one whose columns are not found, with the names that it has. IoError.
ParallelTexts read_parallel(const std::filesystem::path& path, const ParallelOptions& options = {});

/// The pairs of two files of lines: line i of one translates line i of the other. DataError when one has more lines.
/// IoError. Other errors as above.
ParallelTexts read_parallel(const std::filesystem::path& source, const std::filesystem::path& target,
                            const ParallelOptions& options = {});

}  // namespace qing::nn
