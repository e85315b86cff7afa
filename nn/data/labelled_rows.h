// Rows of labelled files of every format that qing reads, with the labels as names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/data/table_reader.h>

namespace qing::nn {

struct LabelledRow {
  std::string label;   ///< a name, not empty unless RowOptions says that labels may be missing or several
  std::string text;    ///< valid UTF-8, not blank unless RowOptions says that it may be
  std::string source;  ///< empty when the row names none
  size_t line = 0;     ///< where the row begins, from 1
  /// With RowOptions::several_labels all labels of the row, each once; `label` is then the field as it stands, or what
  /// joined_labels() makes of a list of JSON.
  std::vector<std::string> labels = {};
  bool is_list = false;  ///< the labels are a list of JSON or the choices of a task, so that nothing separates them
};

/// The first characters of a text in UTF-8, at most `most` bytes, for messages.
std::string shortened(std::string text, size_t most);

enum class LabelledFormat : uint8_t { tsv, csv, columns, chat, label_studio, text, fasttext, xlsx };
/// "tsv", "csv", "json", "openai-chat", "label-studio", "text", "fasttext", "xlsx"
std::string_view name_of(LabelledFormat format);

struct RowOptions {
  /// A column of the default name may also have one of the usual other names, such as "sentence" or "sentiment", in
  /// either case. A name with dots is also a path into nested JSON: "data.text".
  std::string label_column = "label", text_column = "text", source_column = "source";
  size_t max_line_bytes = 1 << 20;  ///< of a line, a CSV record or a JSON object; a longer one is refused
  TableOptions table = {};          ///< its known columns and its limit come from the members above
  bool needs_label = true;          ///< otherwise a missing or empty label is an empty one
  bool needs_text = true;           ///< otherwise a blank text is no error
  bool several_labels = false;      ///< a row may have several labels, or none
  /// Between the labels of a field that is no list; 0: guessed for the file, one of '|', ';' and ','.
  /// fastText has blanks.
  char label_separator = 0;
  /// With several_labels, the columns of one label each, whose cells are marks (mark_of() in label_guesses.h). The
  /// column is the label's name. Empty: guessed for a file without a column of labels, if guesses_label_columns.
  std::vector<std::string> label_columns = {};
  bool guesses_label_columns = true;
  bool keeps_fields = false;  ///< the table's fields are copied into the row, not moved
};

/// Reads the rows of a TableReader. Objects of JSON are
///
/// - rows by columns, {"text": "...", "label": "..."}, whose label may be a whole number, a boolean, or a list of one,
///   as doccano exports it (https://doccano.github.io/doccano/);
/// - OpenAI's chat examples, {"messages": [...]}: the last message, the assistant's, is the label, and the last of the
///   user's before it is the text (https://platform.openai.com/docs/guides/supervised-fine-tuning);
/// - tasks as Label Studio exports them, {"data": {...}, "annotations": [...]}: one choice is the label, or in a file
///   without choices one rating (https://labelstud.io/guide/task_format).
///
/// With several_labels a list may have any length, and the choices of a task are its labels. With label_columns the
/// labels are the columns that are marked, and objects of JSON are rows by columns.
///
/// LineError for a row that cannot be used; next() then continues with the row after it. Errors of the constructor are
/// those of TableReader, and a LineError for a file without the columns. DataError for several labels of what is no
/// regular file without a label_separator, which could not be read twice. Not thread-safe.
class LabelledRowReader {
 public:
  explicit LabelledRowReader(const std::filesystem::path& path, RowOptions options = {});

  std::optional<LabelledRow> next();  ///< Nothing at the end.
  /// Of the last row. A file may have objects of several kinds.
  LabelledFormat format() const { return format_; }
  /// Throws a LineError at the last row.
  [[noreturn]] void fail(const std::string& what) const { table_.fail(what); }

  /// What users should be told of the guesses, such as "CSV separated by ';', text 'review', label 'stars'". Empty if
  /// nothing was guessed. The columns of JSON are known after the first row.
  std::string guesses() const;
  /// The names of the columns that were found, empty without one. Those of JSON are known after the first row.
  const std::string& text_column() const { return text_found_; }
  const std::string& label_column() const { return label_found_; }
  /// The columns of one label each, given or guessed; empty without them.
  const std::vector<std::string>& label_columns() const { return options_.label_columns; }
  /// The table, for what else the last row has; see RowOptions::keeps_fields.
  TableReader& table() { return table_; }

 private:
  void find_columns();
  void find_label_columns();
  std::vector<std::string> guessed_columns() const;
  void mark(LabelledRow& row, const std::string& column, std::string_view cell) const;
  LabelledRow of_fields();
  LabelledRow of_object(const boost::json::object& object);
  LabelledRow of_columns(const boost::json::object& object);
  LabelledRow of_chat(const boost::json::object& object) const;
  LabelledRow of_task(const boost::json::object& object);
  bool names_a_question() const;
  std::set<std::string> answers_in(const boost::json::array& annotations);
  void split(LabelledRow& row) const;
  void check(const LabelledRow& row) const;
  std::optional<size_t> place_of(const std::string& column, const std::vector<std::string>& others) const;
  [[noreturn]] void fail_without(const std::string& column) const;

  std::filesystem::path path_;
  RowOptions options_;
  TableReader table_;
  LabelledFormat format_ = LabelledFormat::columns;
  std::optional<size_t> text_at_, label_at_, source_at_;  // among the columns, not for JSON
  std::string text_found_, label_found_;                  // the names of the columns
  std::vector<size_t> marks_at_;                          // of the columns of one label each
  bool separator_guessed_ = false, columns_guessed_ = false;
  std::optional<bool> rated_;  // whether the labels of tasks are ratings, which the first label decides
};

}  // namespace qing::nn
