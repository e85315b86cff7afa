// Labelled texts from TSV, CSV (RFC 4180) and JSONL files, columns found by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace qing::nn {

struct Example {
  std::string text;    ///< valid UTF-8
  int32_t label;       ///< index into the label list
  std::string source;  ///< empty when the file has no source column
};

struct DatasetOptions {
  std::vector<std::string> labels = {"negative", "neutral", "positive"};
  std::string label_column = "label";
  std::string text_column = "text";
  std::string source_column = "source";
  size_t max_line_bytes = 1 << 20;  ///< a longer line is refused, not cut
};

/// Reads a whole file; the format comes from the suffix (.tsv, .csv, .jsonl). TSV has no quoting: a field is what stands
/// between tabs. DataError "path:line: ..." for an empty file, a missing column, a wrong count of fields, an unknown
/// label, an empty text, invalid UTF-8, or a line over the limit; IoError when it cannot be read.
std::vector<Example> read_dataset(const std::filesystem::path& path, const DatasetOptions& options = {});

/// Writes TSV with a header; tabs and line breaks inside a text become spaces.
void write_tsv(const std::filesystem::path& path, std::span<const Example> examples, const DatasetOptions& options = {});

/// Removes examples whose text was seen before (first wins); returns how many were removed.
size_t remove_duplicates(std::vector<Example>& examples);

/// Splits by a hash (FNV-1a) of the text, so that a text's side depends on nothing else: `held_percent` of 0..100.
struct Split {
  std::vector<Example> train, held;
};
Split split_by_hash(std::vector<Example> examples, int held_percent);

}  // namespace qing::nn
