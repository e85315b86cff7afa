// Rows of labelled files of every format that qing reads, with the labels as names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <qing/nn/data/json_objects.h>
#include <qing/nn/data/record_reader.h>

namespace qing::nn {

struct LabelledRow {
  std::string label;   ///< a name, not empty
  std::string text;    ///< valid UTF-8, not blank
  std::string source;  ///< empty when the row names none
  size_t line = 0;     ///< where the row begins, from 1
};

enum class LabelledFormat : uint8_t { tsv, csv, columns, chat, label_studio };
std::string_view name_of(LabelledFormat format);  ///< "tsv", "csv", "json", "openai-chat", "label-studio"

struct RowOptions {
  /// A column of the default name may also have one of the usual other names, such as "sentence" or "sentiment".
  std::string label_column = "label", text_column = "text", source_column = "source";
  size_t max_line_bytes = 1 << 20;  ///< of a line, a CSV record or a JSON object; a longer one is refused
};

/// Reads one row after another in bounded memory. The suffix (.tsv, .csv, .jsonl, .json) determines the format. The
/// first bytes of a file without a suffix do. A file of JSON has one object a line, or one list of objects. Objects are
///
/// - rows by columns, {"text": "...", "label": "..."}, whose label may be a list of one, as doccano exports it
///   (https://doccano.github.io/doccano/);
/// - OpenAI's chat examples, {"messages": [...]}: the last message, the assistant's, is the label, and the last of the
///   user's before it is the text (https://platform.openai.com/docs/guides/supervised-fine-tuning);
/// - tasks as Label Studio exports them, {"data": {...}, "annotations": [...]}: one choice is the label
///   (https://labelstud.io/guide/task_format).
///
/// LineError for a row that cannot be used; next() then continues with the row after it. DataError for an unknown
/// suffix. LineError from the constructor for a file without the columns, or without a byte. Not thread-safe.
class LabelledRowReader {
 public:
  explicit LabelledRowReader(const std::filesystem::path& path, RowOptions options = {});

  std::optional<LabelledRow> next();  ///< Nothing at the end.
  /// Of the last row. A file may have objects of several kinds.
  LabelledFormat format() const { return format_; }
  /// Throws a LineError at the last row.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  LabelledRow of_object(const boost::json::object& object);
  LabelledRow of_columns(const boost::json::object& object) const;
  LabelledRow of_chat(const boost::json::object& object) const;
  LabelledRow of_task(const boost::json::object& object) const;
  void check(const LabelledRow& row) const;

  RowOptions options_;
  LabelledFormat format_ = LabelledFormat::columns;
  std::optional<RecordReader> records_;  // TSV, CSV
  std::optional<JsonObjectReader> objects_;
};

}  // namespace qing::nn
