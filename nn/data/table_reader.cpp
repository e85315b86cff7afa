#include <qing/nn/data/table_reader.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/json_objects.h>
#include <qing/nn/data/record_reader.h>
#include <qing/nn/data/sheet_rows.h>
#include <qing/nn/data/table_layout.h>
#include <qing/nn/data/text_encoding.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

constexpr size_t kLayoutBytes = 1 << 18;
constexpr size_t kMostJsonColumns = 10'000;

// The front of an input, which is read once more afterwards.
class Front {
 public:
  Front(const ByteInput& input, size_t most) : bytes_(most, '\0') {
    size_t held = 0;
    for (size_t count = 1; count > 0 && held < most; held += count) count = input(std::span(bytes_).subspan(held));
    whole_ = held < most;
    bytes_.resize(held);
  }
  std::string_view bytes() const { return bytes_; }
  bool whole() const { return whole_; }
  // The front, and then the rest of the input.
  ByteInput followed_by(ByteInput input) && {
    return [front = std::move(bytes_), at = size_t{0}, input = std::move(input)](std::span<char> into) mutable {
      const size_t count = std::min(into.size(), front.size() - at);
      if (count == 0) {
        if (!front.empty()) std::string().swap(front), at = 0;
        return input(into);
      }
      std::memcpy(into.data(), front.data() + at, count);
      at += count;
      return count;
    };
  }

 private:
  std::string bytes_;
  bool whole_ = false;
};

std::string_view without_marks(std::string_view text) {
  while (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

// What the formats have in common.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual bool next() = 0;
  virtual size_t line() const = 0;
  virtual std::vector<std::string>& fields() = 0;
  virtual const json::object* object() const { return nullptr; }
  virtual std::string_view object_text() const { return {}; }
  // These throw. GCC warns of virtual functions that are declared not to return.
  virtual void fail(const std::string& what) const = 0;
  virtual void fail_at_header(const std::string& what) const { fail(what); }
  std::vector<std::string> columns;
  size_t below_title = 0;  // the line of the header, if a title stands above it
};

// Blanks around a name in a header are no part of it.
std::vector<std::string> trimmed_names(std::vector<std::string> names) {
  for (std::string& name : names) name = std::string(trimmed(name));
  return names;
}

class RecordSource : public RowSource {
 public:
  RecordSource(const std::string& name, ByteInput input, const TableLayout& layout, size_t most)
      : reader_(name, layout.format == TableFormat::tsv ? RecordFormat::tsv : RecordFormat::csv, std::move(input),
                {.max_line_bytes = most,
                 .delimiter = layout.delimiter,
                 .quotes_in_tsv = layout.quotes,
                 .skip_lines = layout.skip_lines,
                 .repeated_columns = true,
                 .refuse_nul = true}) {
    columns = trimmed_names(reader_.header());
    if (layout.titled) below_title = layout.skip_lines + 1;
  }
  bool next() override {
    std::optional<Record> record = reader_.next();
    if (!record) return false;
    fields_ = *std::move(record);
    return true;
  }
  size_t line() const override { return reader_.line(); }
  std::vector<std::string>& fields() override { return fields_; }
  void fail(const std::string& what) const override { reader_.fail(what); }
  void fail_at_header(const std::string& what) const override { reader_.fail_at_header(what); }

 private:
  RecordReader reader_;
  std::vector<std::string> fields_;
};

// Lines of text, and of fastText.
class LineSource : public RowSource {
 public:
  LineSource(const std::string& name, ByteInput input, bool labelled, bool several, size_t most)
      : lines_(name, std::move(input), most), labelled_(labelled), several_(several) {
    columns = labelled_ ? std::vector<std::string>{"label", "text"} : std::vector<std::string>{"text"};
    if (lines_.done()) lines_.fail("the file is empty; it needs a text a line", 1);
  }
  bool next() override {
    for (;;) {
      const auto found = lines_.next();
      if (!found) return false;
      std::string_view text = *found;
      if (text.ends_with('\r')) text.remove_suffix(1);
      if (!labelled_) {
        fields_.assign(1, std::string(text));
        return true;
      }
      if (text.find_first_not_of(" \t") == text.npos) continue;
      split(text);
      return true;
    }
  }
  size_t line() const override { return lines_.line(); }
  std::vector<std::string>& fields() override { return fields_; }
  void fail(const std::string& what) const override { lines_.fail(what, std::max<size_t>(lines_.line(), 1)); }

 private:
  void split(std::string_view line) {
    constexpr std::string_view kMark = "__label__";
    if (several_) return split_all(line, kMark);
    if (!line.starts_with(kMark)) fail("the line does not begin with __label__; each line of the file needs a label");
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    const std::string_view label = line.substr(kMark.size(), end - kMark.size());
    std::string_view text = line.substr(end);
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    if (text.starts_with(kMark)) {
      fail("the line has more than one label; give one, or train with the option multi_label");
    }
    if (text.find(" __label__") != text.npos) fail("a label follows the text; write it in front");
    fields_ = {std::string(label), std::string(text)};
  }

  void split_all(std::string_view line, std::string_view mark) {
    std::string labels;
    while (line.starts_with(mark)) {
      const size_t end = std::min(line.find_first_of(" \t"), line.size());
      if (!labels.empty()) labels += ' ';
      labels += line.substr(mark.size(), end - mark.size());
      line.remove_prefix(end);
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    }
    if (line.find(" __label__") != line.npos) fail("a label follows the text; write it in front");
    fields_ = {std::move(labels), std::string(line)};
  }

  LineReader lines_;
  bool labelled_, several_;
  std::vector<std::string> fields_;
};

class JsonSource : public RowSource {
 public:
  JsonSource(const std::string& name, ByteInput input, size_t most)
      : reader_(name, JsonObjectReader::Layout::kDetect, std::move(input), most) {}
  bool next() override {
    flat_ = false;
    object_ = reader_.next();
    return object_ != nullptr;
  }
  size_t line() const override { return reader_.line(); }
  std::vector<std::string>& fields() override {
    if (!flat_ && object_ != nullptr) {
      for (std::string& field : fields_) field.clear();
      fields_.resize(columns.size());
      flatten(*object_, "");
      flat_ = true;
    }
    return fields_;
  }
  const json::object* object() const override { return object_; }
  std::string_view object_text() const override { return reader_.text(); }
  void fail(const std::string& what) const override { reader_.fail(what); }

 private:
  void flatten(const json::object& object, const std::string& prefix) {
    for (const auto& member : object) {
      std::string name = prefix;
      name += member.key();
      if (member.value().is_object() && !member.value().get_object().empty()) {
        flatten(member.value().get_object(), name + ".");
      } else {
        fields_[place_of(name)] = text_of(member.value());
      }
    }
  }
  size_t place_of(const std::string& name) {
    const auto [found, is_new] = places_.try_emplace(name, columns.size());
    if (is_new) {
      if (columns.size() == kMostJsonColumns) {
        places_.erase(found);
        fail(fmt::format("the objects have more than {} different fields; give the data fewer", kMostJsonColumns));
      }
      columns.push_back(name);
      fields_.emplace_back();
    }
    return found->second;
  }
  static std::string text_of(const json::value& value) {
    if (value.is_string()) return std::string(value.get_string());
    if (value.is_null()) return {};
    return value.is_double() ? fmt::format("{}", value.get_double()) : json::serialize(value);
  }

  JsonObjectReader reader_;
  const json::object* object_ = nullptr;
  bool flat_ = false;
  std::vector<std::string> fields_;
  std::map<std::string, size_t> places_;
};

class SheetSource : public RowSource {
 public:
  SheetSource(const std::filesystem::path& path, const TableOptions& options)
      : name_(path.string()), rows_(path, options) {
    const std::optional<SheetRow>& row = rows_.header();
    if (!row)
      throw LineError(name_, 1, fmt::format("the sheet '{}' is empty; it needs a header and rows", reader().sheet()));
    header_ = row->number;
    if (rows_.titled()) below_title = header_;
    if (!row->fault.empty()) fail_at_header(row->fault);
    columns = trimmed_names(row->fields);
  }
  bool next() override {
    std::optional<SheetRow> row = rows_.next();
    if (!row) return false;
    line_ = row->number;
    if (!row->fault.empty()) fail(row->fault);
    if (row->fields.size() > columns.size()) {
      fail(fmt::format("a value in column {}, which the header does not name; name it, or remove the value",
                       row->fields.size()));
    }
    fields_ = std::move(row->fields);
    fields_.resize(columns.size());
    return true;
  }
  size_t line() const override { return line_; }
  std::vector<std::string>& fields() override { return fields_; }
  void fail(const std::string& what) const override { throw LineError(name_, line_, what); }
  void fail_at_header(const std::string& what) const override { throw LineError(name_, header_, what); }
  const SheetReader& reader() const { return rows_.reader(); }

 private:
  std::string name_;
  SheetRows rows_;
  size_t header_ = 1, line_ = 0;
  std::vector<std::string> fields_;
};

std::string shown_delimiter(char delimiter) { return delimiter == '\t' ? "tabs" : fmt::format("'{}'", delimiter); }

}  // namespace

struct TableReader::Impl {
  Impl(const std::filesystem::path& path, TableOptions given) : options(std::move(given)) {
    const auto file = std::make_shared<FileReader>(path);
    size = file->size();
    ByteInput raw = [file, counted = read](std::span<char> into) {
      const size_t count = file->read(into);
      *counted += count;
      return count;
    };
    Front front(raw, kLayoutBytes);
    refuse_foreign(path, front.bytes());
    if (is_workbook(path, front.bytes())) {
      layout = {.format = TableFormat::xlsx};
      auto rows = std::make_unique<SheetSource>(path, options);
      sheet = &rows->reader();
      source = std::move(rows);
      return;
    }
    const bool again = size > 0 && std::filesystem::is_regular_file(path);  // can be read more than once
    if (!options.encoding.empty()) {
      encoding = encoding_named(options.encoding);
    } else {
      encoding = again ? guess_file_encoding(path) : guess_encoding(front.bytes());
    }
    ByteInput utf8 = decoded(std::move(front).followed_by(std::move(raw)), encoding);
    Front start(utf8, kLayoutBytes);
    layout = layout_of(path, without_marks(start.bytes()), start.whole(), options);
    const std::string_view text = without_marks(start.bytes());
    const size_t lone = text.find('\n') == text.npos ? text.find('\r') : text.npos;
    if (layout.format != TableFormat::json && lone < text.size() - 1) {
      throw LineError(path.string(), 1,
                      "the lines end with carriage returns alone, as on old Macintosh computers; save the file with "
                      "line feeds");
    }
    if (layout.format == TableFormat::tsv) {
      layout.quotes = tsv_has_quotes([&]() -> ByteInput {
        if (again) return decoded(input_of(path), encoding);
        return [bytes = std::string(start.bytes())](std::span<char> into) mutable {
          const size_t count = bytes.copy(into.data(), into.size());
          bytes.erase(0, count);
          return count;
        };
      });
      layout.guessed |= layout.quotes;
    }
    source = open(path.string(), std::move(start).followed_by(std::move(utf8)));
  }

  std::unique_ptr<RowSource> open(const std::string& name, ByteInput input) const {
    switch (layout.format) {
      case TableFormat::json: return std::make_unique<JsonSource>(name, std::move(input), options.max_row_bytes);
      case TableFormat::text:
      case TableFormat::fasttext:
        return std::make_unique<LineSource>(name, std::move(input), layout.format == TableFormat::fasttext,
                                            options.several_labels, options.max_row_bytes);
      default: return std::make_unique<RecordSource>(name, std::move(input), layout, options.max_row_bytes);
    }
  }

  TableOptions options;
  std::shared_ptr<uint64_t> read = std::make_shared<uint64_t>(0);  // bytes of the file
  uint64_t size = 0;
  std::string encoding = "UTF-8";
  TableLayout layout;
  std::unique_ptr<RowSource> source;
  const SheetReader* sheet = nullptr;  // of a workbook
};

TableReader::TableReader(const std::filesystem::path& path, TableOptions options)
    : impl_(std::make_unique<Impl>(path, std::move(options))) {}
TableReader::~TableReader() = default;
TableReader::TableReader(TableReader&&) noexcept = default;
TableReader& TableReader::operator=(TableReader&&) noexcept = default;

TableFormat TableReader::format() const { return impl_->layout.format; }
const std::vector<std::string>& TableReader::columns() const { return impl_->source->columns; }
bool TableReader::next() { return impl_->source->next(); }
size_t TableReader::line() const { return impl_->source->line(); }
std::vector<std::string>& TableReader::fields() { return impl_->source->fields(); }
const json::object* TableReader::object() const { return impl_->source->object(); }
std::string_view TableReader::object_text() const { return impl_->source->object_text(); }
void TableReader::fail(const std::string& what) const {
  impl_->source->fail(what);
  std::abort();  // not reached
}
void TableReader::fail_at_header(const std::string& what) const {
  impl_->source->fail_at_header(what);
  std::abort();  // not reached
}

std::string TableReader::description() const {
  std::string text(name_of(format()));
  if (impl_->sheet != nullptr) {
    text += fmt::format(", sheet '{}'", impl_->sheet->sheet());
  } else {
    if (format() == TableFormat::csv) text += " separated by " + shown_delimiter(impl_->layout.delimiter);
    if (format() == TableFormat::tsv && impl_->layout.quotes) text += " with quotes";
    text += ", " + shown_encoding(impl_->encoding);
  }
  const size_t line = impl_->source->below_title;
  return line == 0 ? text : text + fmt::format(", with the header in line {} below a title", line);
}

bool TableReader::is_guessed() const {
  if (impl_->source->below_title > 0) return true;
  if (impl_->sheet != nullptr) return impl_->options.sheet.empty() && impl_->sheet->sheets().size() > 1;
  return (impl_->layout.guessed && impl_->options.delimiter == 0) ||
         (impl_->options.encoding.empty() && impl_->encoding != "UTF-8");
}

uint64_t TableReader::bytes_read() const { return impl_->sheet != nullptr ? impl_->sheet->bytes_read() : *impl_->read; }
uint64_t TableReader::bytes() const { return impl_->sheet != nullptr ? impl_->sheet->bytes() : impl_->size; }

}  // namespace qing::nn
