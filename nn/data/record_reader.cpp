#include <qing/nn/data/record_reader.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <set>
#include <utility>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/json_objects.h>
#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

void check_distinct(const std::vector<std::string>& names) {
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) {
      throw ValueError(fmt::format("RecordReader: column '{}' is asked for twice; name it once", name));
    }
  }
}

// One record with quotes, parsed line by line.
struct CsvRow {
  char delimiter;
  Record fields = Record(1);
  bool quoted = false;      // inside quotes
  bool was_quoted = false;  // the field began with a quote

  // Adds a line without its '\n'. Returns false when text follows a closing quote.
  bool add(std::string_view line) {
    for (size_t i = 0; i < line.size();) {
      if (quoted) {
        const size_t quote = line.find('"', i);
        fields.back() += line.substr(i, quote - i);
        if (quote == line.npos) return true;
        const bool doubled = quote + 1 < line.size() && line[quote + 1] == '"';
        if (doubled) {
          fields.back() += '"';
        } else {
          quoted = false;
        }
        i = quote + (doubled ? 2 : 1);
      } else if (line[i] == delimiter) {
        fields.emplace_back();
        was_quoted = false;
        ++i;
      } else if (line[i] == '"' && fields.back().empty() && !was_quoted) {
        quoted = was_quoted = true;
        ++i;
      } else {
        size_t end = std::min(line.find(delimiter, i), line.size());
        const size_t next = end;
        if (end == line.size() && line[end - 1] == '\r') --end;
        if (was_quoted && end > i) return false;
        fields.back() += line.substr(i, end - i);
        i = next;
      }
    }
    return true;
  }

  bool blank() const { return fields.size() == 1 && fields[0].empty() && !was_quoted; }
};

// Returns a JSON scalar as text, or nullopt for an array or an object.
std::optional<std::string> text_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::string: return std::string(value.get_string());
    case json::kind::null: return std::string();
    case json::kind::double_: return fmt::format("{}", value.get_double());
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::bool_: return json::serialize(value);
    default: return std::nullopt;
  }
}

std::string in_quotes(std::string_view name) { return fmt::format("'{}'", visible(name)); }

// Explains that a header lacks the column, and what to do.
std::string no_column(const std::string& name, const Record& header, char separator) {
  std::vector<std::string> shown;
  for (const std::string& other : header) shown.push_back(in_quotes(other));
  std::string remedy = "rename the column that holds it";
  for (const char other : std::string_view(",;\t|")) {
    if (other == separator || header.size() > 1 || header[0].find(other) == std::string::npos) continue;
    remedy = fmt::format("the fields seem to be separated by {}; save the file with {}",
                         other == '\t' ? "tabs" : fmt::format("'{}'", other), separator == ',' ? "commas" : "tabs");
  }
  return fmt::format("no column '{}' in the header, which has: {}; {}", name, fmt::join(shown, ", "), remedy);
}

}  // namespace

ByteInput input_of(const std::filesystem::path& path) {
  return [file = std::make_shared<FileReader>(path)](std::span<char> into) { return file->read(into); };
}

RecordFormat record_format_of(const std::filesystem::path& path) {
  const std::string suffix = lowered(path.extension().string());
  if (suffix == ".tsv") return RecordFormat::tsv;
  if (suffix == ".csv") return RecordFormat::csv;
  if (suffix == ".jsonl") return RecordFormat::jsonl;
  throw DataError(fmt::format("{}: unknown format '{}'; name it .tsv, .csv or .jsonl{}", path.string(), suffix,
                              suffix == ".json" ? ", with one object per line" : ""));
}

RecordReader::RecordReader(const std::filesystem::path& path, RecordOptions options)
    : RecordReader(path, record_format_of(path), std::move(options)) {}

RecordReader::RecordReader(const std::filesystem::path& path, RecordFormat format, RecordOptions options)
    : RecordReader(path.string(), format, input_of(path), std::move(options)) {}

RecordReader::RecordReader(std::string name, RecordFormat format, ByteInput input, RecordOptions options)
    : lines_(std::move(name), std::move(input), options.max_line_bytes), format_(format), options_(std::move(options)) {
  if (!options_.columns.empty()) {
    header_ = options_.columns;
    header_.insert(header_.end(), options_.optional_columns.begin(), options_.optional_columns.end());
    check_distinct(header_);
  }
  if (lines_.done()) fail("the file is empty; it needs a header and rows");
  if (format_ != RecordFormat::jsonl) {
    delimiter_ = options_.delimiter != 0 ? options_.delimiter : format_ == RecordFormat::tsv ? '\t' : ',';
    quoted_ = format_ == RecordFormat::csv || options_.quotes_in_tsv;
    for (size_t i = 0; i < options_.skip_lines; ++i) lines_.next();
    const std::optional<Record> names = next_row();
    if (!names) lines_.fail("the file has one line, which names the separator; it needs a header and rows", 1);
    header_line_ = line_;
    find_columns(*names);
  } else if (header_.empty()) {
    first_ = next_object();
  }
}

void RecordReader::find_columns(const Record& names) {
  if (names.empty()) fail("the first line is blank; it must name the columns");
  columns_ = names.size();
  const bool all = header_.empty();
  if (all) header_ = names;
  for (size_t i = 0; i < header_.size(); ++i) {
    // A column without a name has only a position. There may be several, because spreadsheets write commas at line
    // ends.
    if (all && header_[i].empty()) {
      source_columns_.emplace_back(i);
      continue;
    }
    if (all && options_.repeated_columns) {
      source_columns_.emplace_back(i);
      continue;
    }
    auto at = std::find(names.begin(), names.end(), header_[i]);
    if (const auto others = options_.other_names.find(header_[i]); others != options_.other_names.end()) {
      for (const std::string& other : others->second) {
        if (at == names.end()) at = std::find(names.begin(), names.end(), other);
      }
    }
    if (at != names.end() && std::find(at + 1, names.end(), *at) != names.end()) {
      fail(fmt::format("the column '{}' appears twice in the header; rename or remove one", *at));
    }
    if (at != names.end()) {
      source_columns_.emplace_back(at - names.begin());
    } else if (i < options_.columns.size()) {
      fail(no_column(header_[i], names, delimiter_));
    } else {
      source_columns_.emplace_back();
    }
  }
}

std::optional<Record> RecordReader::next() {
  if (first_) return std::exchange(first_, std::nullopt);
  if (format_ == RecordFormat::jsonl) return next_object();
  std::optional<Record> row = next_row();
  while (row && row->empty()) row = next_row();
  if (!row) return std::nullopt;
  if (row->size() != columns_) {
    const char* const remedy = row->size() < columns_ ? "add the missing fields, or remove the row"
                               : quoted_ ? "put fields that hold the separator in double quotes, or remove the row"
                                         : "take the separator out of the field that holds it, or remove the row";
    fail(fmt::format("{} {} where the header has {}; {}", row->size(), row->size() == 1 ? "field" : "fields", columns_,
                     remedy));
  }
  Record record(source_columns_.size());
  for (size_t i = 0; i < record.size(); ++i) {
    if (source_columns_[i]) record[i] = std::move((*row)[*source_columns_[i]]);
  }
  return record;
}

// Returns the next row with all its fields, or no fields for a blank line.
std::optional<Record> RecordReader::next_row() { return quoted_ ? next_quoted() : next_plain(); }

void RecordReader::check_nul(std::string_view line) const {
  const size_t at = options_.refuse_nul ? line.find('\0') : line.npos;
  if (at != line.npos) {
    lines_.fail(fmt::format("a NUL byte at byte {} of the line; remove it, or give the file's encoding", at),
                lines_.line());
  }
}

std::optional<Record> RecordReader::next_plain() {
  const auto found = lines_.next();
  if (!found) return std::nullopt;
  line_ = lines_.line();
  std::string_view line = *found;
  check_nul(line);
  if (line.ends_with('\r')) line.remove_suffix(1);
  Record record;
  if (line.empty()) return record;
  record.reserve(columns_);
  for (;;) {
    const size_t end = line.find(delimiter_);
    record.emplace_back(line.substr(0, end));
    if (end == std::string_view::npos) return record;
    line.remove_prefix(end + 1);
  }
}

std::optional<Record> RecordReader::next_quoted() {
  auto line = lines_.next();
  if (!line) return std::nullopt;
  line_ = lines_.line();
  CsvRow row{.delimiter = delimiter_};
  row.fields.reserve(columns_);
  // A quote that is left open takes the rows behind it, so users must know which.
  const auto fail_here = [&](std::string what) {
    if (lines_.line() > line_) what += fmt::format(" (the record has the lines {} to {})", line_, lines_.line());
    fail(what);
  };
  size_t bytes = 0;
  for (;;) {
    bytes += line->size() + 1;
    if (bytes > options_.max_line_bytes + 1) {
      fail_here(fmt::format("the record is longer than the limit of {} bytes; split the text, or close its quote",
                            options_.max_line_bytes));
    }
    check_nul(*line);
    if (!row.add(*line)) fail_here("text after a closing quote; double the quotes inside a quoted field");
    if (!row.quoted) return row.blank() ? Record() : std::move(row.fields);
    if (!lines_.terminated() || !(line = lines_.next())) {
      fail_here("a quoted field never ends; close it with a quote");
    }
    row.fields.back() += '\n';
  }
}

std::optional<Record> RecordReader::next_object() {
  const std::optional<json::object> found = next_json_object(lines_);
  if (!found) return std::nullopt;
  const json::object& object = *found;
  line_ = lines_.line();
  if (header_.empty()) {
    for (const auto& member : object) header_.emplace_back(member.key());
    if (header_.empty()) fail("an object without fields; the first one names those of all");
  }
  Record record(header_.size());
  for (size_t i = 0; i < record.size(); ++i) {
    const auto others = options_.other_names.find(header_[i]);
    const auto [name, found] = find_field(
        object, header_[i], others == options_.other_names.end() ? std::span<const std::string>() : others->second);
    if (found == nullptr) {
      if (options_.columns.empty() || i < options_.columns.size()) fail(no_field(object, header_[i]));
      continue;
    }
    std::optional<std::string> text = text_of(*found);
    if (options_.strings_only && !found->is_string()) {
      fail(fmt::format("field '{}' is not a string; {}", name,
                       text ? "write it in quotes" : "it is an array or an object; give one string"));
    }
    if (!text) fail(fmt::format("field '{}' is an array or an object; a field is a string or a number", name));
    record[i] = *std::move(text);
  }
  return record;
}

}  // namespace qing::nn
