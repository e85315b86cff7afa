// Labelled texts from TSV, CSV (RFC 4180) and JSONL files, columns found by name.
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
  int32_t group = 0;   ///< which of several files it is from, for what depends on a file's labels
};

struct DatasetOptions {
  std::vector<std::string> labels = {"negative", "neutral", "positive"};
  std::string label_column = "label";
  std::string text_column = "text";
  std::string source_column = "source";
  size_t max_line_bytes = 1 << 20;  ///< a longer line is refused, not cut
};

/// Reads one example after the other in a bounded amount of memory; the format comes from the suffix (.tsv, .csv,
/// .jsonl), as RecordReader describes. DataError "path:line: ..." for what RecordReader refuses, an unknown label or a
/// text that is empty or blank (is_blank); IoError when it cannot be read. Not thread-safe.
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

/// Reads a whole file with an ExampleReader; it must have rows.
std::vector<Example> read_dataset(const std::filesystem::path& path, const DatasetOptions& options = {});

/// Writes TSV with a header; tabs and line breaks inside a text become spaces. ValueError, with nothing written, for a
/// blank text, a label that is no index into options.labels, and a name of a label or column with a tab or line break
/// inside.
void write_tsv(const std::filesystem::path& path, std::span<const Example> examples,
               const DatasetOptions& options = {});

/// Removes examples whose text was seen before (first wins); returns how many were removed.
size_t remove_duplicates(std::vector<Example>& examples);

/// Splits by a hash (FNV-1a) of the text, so that a text's side depends on nothing else: `held_percent` of 0..100.
struct Split {
  std::vector<Example> train, held;
};
Split split_by_hash(std::vector<Example> examples, int held_percent);

}  // namespace qing::nn
