// Labelled texts from TSV, CSV (RFC 4180) and JSONL files. Columns are found by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/record_reader.h>

namespace qing::nn {

struct Example {
  std::string text;    ///< valid UTF-8
  int32_t label;       ///< index into the label list
  std::string source;  ///< empty when the file has no source column
  int32_t group = 0;   ///< index of its file, for corrections that depend on a file's labels
};

struct DatasetOptions {
  std::vector<std::string> labels = {"negative", "neutral", "positive"};
  std::string label_column = "label";
  std::string text_column = "text";
  std::string source_column = "source";
  size_t max_line_bytes = 1 << 20;  ///< a longer line is refused, not truncated
};

/// Reads one example after another in bounded memory. The suffix (.tsv, .csv, .jsonl) determines the format: see
/// RecordReader. DataError "path:line: ..." for errors of RecordReader, for an unknown label, and for a text that is
/// empty or blank (is_blank). IoError when the file cannot be read. Not thread-safe.
class ExampleReader {
 public:
  explicit ExampleReader(const std::filesystem::path& path, DatasetOptions options = {});
  std::optional<Example> next();  ///< Nothing at the end.
  /// Throws DataError "path:line: what" at the last example.
  [[noreturn]] void fail(const std::string& what) const { records_.fail(what); }

 private:
  DatasetOptions options_;
  RecordReader records_;
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

/// Splits by a hash (FNV-1a) of the text, so that the side of a text depends only on the text. `held_percent` is in
/// [0, 100].
struct Split {
  std::vector<Example> train, held;
};
Split split_by_hash(std::vector<Example> examples, int held_percent);

}  // namespace qing::nn
