#include <qing/nn/data/unlabelled_texts.h>

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <qing/nn/data/line_reader.h>
#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

std::vector<Example> read_lines(const std::filesystem::path& path, size_t max_line_bytes) {
  LineReader lines(
      path.string(), [file = std::make_shared<FileReader>(path)](std::span<char> into) { return file->read(into); },
      max_line_bytes);
  std::vector<Example> examples;
  while (const std::optional<std::string_view> line = lines.next()) {
    std::string_view text = *line;
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (!is_blank(text)) examples.push_back({std::string(text), kNoLabel, ""});
  }
  return examples;
}

std::vector<Example> read_records(const std::filesystem::path& path, const DatasetOptions& options) {
  RecordReader records(path, {.columns = {options.text_column},
                              .optional_columns = {options.source_column},
                              .strings_only = false,
                              .max_line_bytes = options.max_line_bytes});
  std::vector<Example> examples;
  while (std::optional<Record> record = records.next()) {
    if (is_blank((*record)[0])) records.fail(fmt::format("the {} is blank; remove the row", options.text_column));
    examples.push_back({std::move((*record)[0]), kNoLabel, std::move((*record)[1])});
  }
  return examples;
}

}  // namespace

std::vector<Example> read_unlabelled(const std::filesystem::path& path, const DatasetOptions& options) {
  std::vector<Example> examples =
      path.extension() == ".txt" ? read_lines(path, options.max_line_bytes) : read_records(path, options);
  if (examples.empty()) throw DataError(fmt::format("{}: has no texts", path.string()));
  return examples;
}

}  // namespace qing::nn
