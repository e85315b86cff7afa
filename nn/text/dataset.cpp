#include <qing/nn/text/dataset.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <optional>
#include <unordered_set>

#include <qing/nn/text/utf8.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

using Record = std::vector<std::string>;

// A file being read: splits lines, checks what holds for all formats, and says where.
class Source {
 public:
  Source(const std::filesystem::path& path, const DatasetOptions& options)
      : path_(path), options_(options), content_(read_file(path)) {
    if (content_.starts_with("\xEF\xBB\xBF")) position_ = 3;  // a byte order mark
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(fmt::format("{}:{}: {}", path_.string(), std::max<size_t>(line_, 1), what));
  }

  bool done() const { return position_ >= content_.size(); }

  // The next line without its end. Lines are counted from 1.
  std::string_view next_line() {
    const size_t end = std::min(content_.find('\n', position_), content_.size());
    std::string_view line(content_.data() + position_, end - position_);
    position_ = end + 1;
    ++line_;
    check(line);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  // One CSV record (RFC 4180), which may span lines; its errors name the line where it begins.
  Record next_csv() {
    ++line_;
    size_t lines = 0;
    const size_t begin = position_;
    Record record(1);
    bool quoted = false, was_quoted = false;
    for (; position_ < content_.size(); ++position_) {
      const char c = content_[position_];
      if (quoted) {
        if (c != '"') {
          lines += c == '\n';
          record.back() += c;
        } else if (position_ + 1 < content_.size() && content_[position_ + 1] == '"') {
          record.back() += c;
          ++position_;
        } else {
          quoted = false;
        }
      } else if (c == '"' && record.back().empty() && !was_quoted) {
        quoted = was_quoted = true;
      } else if (c == ',') {
        record.emplace_back();
        was_quoted = false;
      } else if (c == '\n') {
        break;
      } else if (c != '\r' || (position_ + 1 < content_.size() && content_[position_ + 1] != '\n')) {
        if (was_quoted) fail("text after a closing quote; double the quotes inside a quoted field");
        record.back() += c;
      }
    }
    if (quoted) fail("a quoted field never ends; close it with a quote");
    check(std::string_view(content_).substr(begin, position_ - begin));
    ++position_;
    line_ += lines;
    return record;
  }

 private:
  void check(std::string_view line) const {
    if (line.size() > options_.max_line_bytes) {
      fail(fmt::format("the line has {} bytes, more than the limit of {}; split the text", line.size(),
                       options_.max_line_bytes));
    }
    if (const auto at = find_invalid_utf8(line)) {
      fail(fmt::format("invalid UTF-8 at byte {} of the line; save the file as UTF-8", *at));
    }
  }

  const std::filesystem::path& path_;
  const DatasetOptions& options_;
  std::string content_;
  size_t position_ = 0, line_ = 0;
};

Example make_example(const Source& source, const DatasetOptions& options, std::string text, std::string_view label,
                     std::string where) {
  const auto found = std::find(options.labels.begin(), options.labels.end(), label);
  if (found == options.labels.end()) {
    source.fail(fmt::format("unknown label '{}'; use one of {}", label.substr(0, 64), fmt::join(options.labels, ", ")));
  }
  if (text.empty()) source.fail(fmt::format("the {} is empty; remove the row", options.text_column));
  return {std::move(text), static_cast<int32_t>(found - options.labels.begin()), std::move(where)};
}

// Where the columns stand in a header.
struct Columns {
  size_t label, text, count;
  std::optional<size_t> source;

  Columns(const Record& header, const Source& file, const DatasetOptions& options) : count(header.size()) {
    const auto find = [&](const std::string& name) -> std::optional<size_t> {
      const auto at = std::find(header.begin(), header.end(), name);
      return at == header.end() ? std::nullopt : std::optional<size_t>(at - header.begin());
    };
    const auto require = [&](const std::string& name) {
      const auto at = find(name);
      if (!at) file.fail(fmt::format("no column '{}' in the header, which has: {}", name, fmt::join(header, ", ")));
      return *at;
    };
    label = require(options.label_column);
    text = require(options.text_column);
    source = find(options.source_column);
  }
};

void read_table(Source& file, const DatasetOptions& options, const std::function<Record(Source&)>& next,
                std::vector<Example>& examples) {
  const Columns columns(next(file), file, options);
  while (!file.done()) {
    Record record = next(file);
    if (record.size() == 1 && record[0].empty()) continue;  // a blank line
    if (record.size() != columns.count) {
      file.fail(fmt::format("{} fields where the header has {}; a text must hold no separator", record.size(),
                            columns.count));
    }
    examples.push_back(make_example(file, options, std::move(record[columns.text]), record[columns.label],
                                    columns.source ? std::move(record[*columns.source]) : std::string()));
  }
}

Record split_tabs(std::string_view line) {
  Record record;
  for (;;) {
    const size_t tab = line.find('\t');
    record.emplace_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return record;
    line.remove_prefix(tab + 1);
  }
}

void read_jsonl(Source& file, const DatasetOptions& options, std::vector<Example>& examples) {
  namespace json = boost::json;
  while (!file.done()) {
    const std::string_view line = file.next_line();
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    if (error) file.fail("not JSON: " + error.message());
    if (!value.is_object()) file.fail("not a JSON object; each line is one, e.g. {\"label\": ..., \"text\": ...}");
    const auto field = [&](const std::string& name, bool required) -> std::string {
      const json::value* found = value.get_object().if_contains(name);
      if (found == nullptr && required) file.fail(fmt::format("no field '{}'", name));
      if (found == nullptr) return {};
      if (!found->is_string()) file.fail(fmt::format("field '{}' is not a string", name));
      return std::string(found->get_string());
    };
    std::string text = field(options.text_column, true);
    const std::string label = field(options.label_column, true);
    examples.push_back(make_example(file, options, std::move(text), label, field(options.source_column, false)));
  }
}

uint64_t fnv1a(std::string_view text) {  // http://www.isthe.com/chongo/tech/comp/fnv/, 64 bits
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

std::vector<Example> read_dataset(const std::filesystem::path& path, const DatasetOptions& options) {
  const std::string suffix = path.extension().string();
  if (suffix != ".tsv" && suffix != ".csv" && suffix != ".jsonl") {
    throw DataError(fmt::format("{}: unknown format '{}'; name it .tsv, .csv or .jsonl", path.string(), suffix));
  }
  Source file(path, options);
  if (file.done()) file.fail("the file is empty; it needs a header and rows");
  std::vector<Example> examples;
  if (suffix == ".tsv") {
    read_table(file, options, [](Source& source) { return split_tabs(source.next_line()); }, examples);
  } else if (suffix == ".csv") {
    read_table(file, options, [](Source& source) { return source.next_csv(); }, examples);
  } else {
    read_jsonl(file, options, examples);
  }
  if (examples.empty()) file.fail("the file has no rows below its header");
  return examples;
}

void write_tsv(const std::filesystem::path& path, std::span<const Example> examples, const DatasetOptions& options) {
  std::string out = options.label_column + "\t" + options.source_column + "\t" + options.text_column + "\n";
  const auto field = [&](std::string value) {
    std::replace_if(value.begin(), value.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
    return value;
  };
  for (const Example& example : examples) {
    out += options.labels.at(static_cast<size_t>(example.label)) + "\t" + field(example.source) + "\t" +
           field(example.text) + "\n";
  }
  write_file_atomically(path, out);
}

size_t remove_duplicates(std::vector<Example>& examples) {
  std::unordered_set<std::string> seen;
  return std::erase_if(examples, [&](const Example& example) { return !seen.insert(example.text).second; });
}

Split split_by_hash(std::vector<Example> examples, int held_percent) {
  if (held_percent < 0 || held_percent > 100) {
    throw ValueError(fmt::format("split_by_hash: {} percent is outside [0, 100]", held_percent));
  }
  Split split;
  for (Example& example : examples) {
    const bool held = fnv1a(example.text) % 100 < static_cast<uint64_t>(held_percent);
    (held ? split.held : split.train).push_back(std::move(example));
  }
  return split;
}

}  // namespace qing::nn
