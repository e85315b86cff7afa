// Labelled texts as examples of known labels, from every format that labelled_rows.h reads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/data/label_map.h>
#include <qing/nn/data/labelled_rows.h>
#include <qing/nn/problem.h>

namespace qing::nn {

/// The label of an example that has none.
inline constexpr int32_t kNoLabel = -1;

struct Example {
  std::string text;    ///< valid UTF-8
  int32_t label;       ///< index into the label list; kNoLabel (-1) without one, with several, and with a number
  std::string source;  ///< empty when the file has no source column
  int32_t group = 0;   ///< index of its file, for corrections that depend on a file's labels
  uint32_t line = 0;   ///< where its row begins in the file, from 1; 0 if it comes from no file
  std::vector<int32_t> labels = {};  ///< of a multi-label data set: indices, ascending, each once, or none
  double value = 0;                  ///< of a data set of numbers
};

/// The labels of an example: the one, or those of a multi-label data set. None of a text without labels.
inline std::span<const int32_t> labels_of(const Example& example) {
  return example.label >= 0 ? std::span<const int32_t>(&example.label, 1) : std::span<const int32_t>(example.labels);
}

struct DatasetOptions {
  std::vector<std::string> labels = {"negative", "neutral", "positive"};
  std::string label_column = "label";
  std::string text_column = "text";
  std::string source_column = "source";
  size_t max_line_bytes = 1 << 20;          ///< a longer line is refused, not truncated
  LabelMap map = {};                        ///< what the labels of the file are called
  Problem problem = Problem::single_label;  ///< multi_label: a row has any labels; regression: the label is a number
  char label_separator = 0;                 ///< of multi_label; 0: guessed for each file
  std::vector<std::string> label_columns = {};  ///< of multi_label, one label each; see RowOptions
  TableOptions table = {};                      ///< the separator, the encoding and the sheet
  /// Is told of each row that cannot be used, which is then skipped. Without it, such a row ends the reading.
  std::function<void(const LineError&)> on_bad_row = {};
  /// Is told what was guessed of a file, such as "CSV separated by ';'", if anything was.
  std::function<void(const std::filesystem::path&, const std::string&)> on_guess = {};
};

/// The options of a LabelledRowReader that these are.
RowOptions row_options(const DatasetOptions& options);

/// next() of a reader of rows, without the rows that on_bad_row is told of.
std::optional<LabelledRow> next_row(LabelledRowReader& reader, const DatasetOptions& options);

/// Reads one example after another in bounded memory: the rows of a LabelledRowReader. LineError "path:line: ..." for
/// its errors, for a label of numbers that is none, and for an unknown label, with the rules of a LabelMap that the
/// file's labels suggest, unless options.on_bad_row takes them. LineError from the constructor for columns of labels
/// that are not those of options.labels. IoError when the file cannot be read. Not thread-safe.
class ExampleReader {
 public:
  explicit ExampleReader(const std::filesystem::path& path, DatasetOptions options = {});
  std::optional<Example> next();  ///< Nothing at the end.
  /// Throws a LineError at the last example.
  [[noreturn]] void fail(const std::string& what) const { rows_.fail(what); }
  std::string guesses() const { return rows_.guesses(); }  ///< As LabelledRowReader has them.

 private:
  void check_label_columns();
  Example example_of(LabelledRow row);
  int32_t index_of(const std::string& name);
  const std::string& proposal();
  [[noreturn]] void refuse_label(const std::string& label);

  std::filesystem::path path_;
  DatasetOptions options_;
  LabelledRowReader rows_;
  std::optional<std::string> proposal_;  // rules of a LabelMap, computed at the first unknown label; empty: none fit
};

/// Reads a whole file with an ExampleReader. The file must have rows.
std::vector<Example> read_dataset(const std::filesystem::path& path, const DatasetOptions& options = {});

/// Writes TSV with a header. Tabs and line breaks inside a text become spaces. ValueError, with nothing written, for a
/// blank text, a label that is not an index into options.labels, and a name of a label or column with a tab or line
/// break inside.
void write_tsv(const std::filesystem::path& path, std::span<const Example> examples,
               const DatasetOptions& options = {});

/// Removes examples whose text appeared before (the first one stays). Returns the number of removed examples.
size_t remove_duplicates(std::vector<Example>& examples);

/// Whether a text is held out of a training: by a hash (FNV-1a) of the text alone, so that a text is on the same side
/// in every file, order and version. What a lower percentage holds out a higher one holds out too. ValueError unless
/// `held_percent` is in [0, 100].
bool held_by_hash(std::string_view text, double held_percent);

/// Splits by held_by_hash().
struct Split {
  std::vector<Example> train, held;
};
Split split_by_hash(std::vector<Example> examples, double held_percent);

}  // namespace qing::nn
