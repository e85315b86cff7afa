#include <algorithm>
#include <string_view>

#include <qing/nn/data/record_reader.h>
#include <qing/nn/utf8.h>
#include <qing/serve/bench/inference_bench.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  std::string_view rest = nn::without_byte_order_mark(bytes);
  std::vector<std::string> lines;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") != line.npos) lines.emplace_back(line);
  }
  return lines;
}

bool has_records(const std::filesystem::path& file) {
  std::string suffix = file.extension().string();
  std::ranges::transform(suffix, suffix.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return suffix == ".tsv" || suffix == ".csv" || suffix == ".jsonl";
}

}  // namespace

std::vector<std::string> read_texts(const std::filesystem::path& file, const std::string& column, int64_t most) {
  std::vector<std::string> texts;
  if (!has_records(file)) {
    texts = lines_of(file);
    if (most > 0 && std::ssize(texts) > most) texts.resize(static_cast<size_t>(most));
    return texts;
  }
  nn::RecordReader records(file, {.columns = {column}});
  while (most == 0 || std::ssize(texts) < most) {
    const auto record = records.next();
    if (!record) break;
    texts.push_back(record->front());
  }
  return texts;
}

}  // namespace qing::serve::cli
