#include <qing/serve/runs/table_writer.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>
#include <xlsxwriter.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/record_reader.h>
#include <qing/nn/utf8.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/usage_error.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

namespace json = boost::json;

constexpr size_t kBufferBytes = 1 << 16;
constexpr std::chrono::milliseconds kNoteInterval{500};
// Of a sheet of Excel.
constexpr int64_t kMostRows = 1'048'576;
constexpr size_t kMostColumns = 16'384, kMostCharacters = 32'767;

[[noreturn]] void fail_io(const std::filesystem::path& path, const char* what) {
  throw IoError(fmt::format("{}: cannot {}: {}", path.string(), what, std::strerror(errno)));
}

char delimiter_of(OutputFormat format) { return format == OutputFormat::tsv ? '\t' : ','; }

std::optional<double> number_of_cell(const std::string& text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// A spreadsheet shows a number of at most 11 digits as it is written.
bool is_shown_number(const std::string& text) {
  const std::optional<double> value = number_of_cell(text);
  return value && text.size() <= 11 && text.find_first_not_of("-.0123456789") == text.npos &&
         fmt::format("{}", *value) == text;
}

// A reader of workbooks takes "_x0041_" for an escape, so libxlsxwriter's 1.1.4 text would be another one.
std::string escaped_cell(std::string text) {
  for (size_t at = text.find("_x"); at != text.npos; at = text.find("_x", at + 1)) {
    const bool digits = std::ranges::all_of(text.substr(std::min(at + 2, text.size()), 4),
                                            [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
    if (at + 6 >= text.size() || text[at + 6] != '_' || !digits) continue;
    text.insert(at, "_x005F");
    at += 6;
  }
  return text;
}

}  // namespace

OutputFormat output_format_of(const std::filesystem::path& path) {
  const std::string suffix = nn::lowered(path.extension().string());
  if (suffix == ".csv") return OutputFormat::csv;
  if (suffix == ".tsv") return OutputFormat::tsv;
  if (suffix == ".jsonl") return OutputFormat::jsonl;
  if (suffix == ".json") return OutputFormat::json;
  if (suffix == ".txt") return OutputFormat::text;
  if (suffix == ".xlsx") return OutputFormat::xlsx;
  throw UsageError(fmt::format("--out {}: unknown format '{}'; name it .csv, .tsv, .jsonl, .json, .txt or .xlsx",
                               path.string(), suffix));
}

std::vector<std::string> free_names(std::span<const std::string> wanted, std::span<const std::string> taken) {
  std::set<std::string> used(taken.begin(), taken.end());
  std::vector<std::string> names;
  for (std::string name : wanted) {
    while (!used.insert(name).second) name.insert(0, "predicted_");
    names.push_back(std::move(name));
  }
  return names;
}

TableWriter::TableWriter(std::filesystem::path out, Head head, std::string task)
    : out_(std::move(out)),
      part_(out_.string() + ".part"),
      notes_(out_.string() + ".part.json"),
      format_(output_format_of(out_)),
      head_(std::move(head)),
      task_(std::move(task)),
      noted_(std::chrono::steady_clock::now()) {
  const size_t columns = head_.columns.size() + head_.added.size();
  if (format_ == OutputFormat::xlsx && columns > kMostColumns) {
    throw UsageError(
        fmt::format("--out {}: {} columns, and a sheet has {}; choose .csv", out_.string(), columns, kMostColumns));
  }
  if (format_ == OutputFormat::json || format_ == OutputFormat::jsonl) {
    std::set<std::string_view> seen;
    for (const std::string& name : head_.columns) {
      if (seen.insert(name).second) continue;
      throw UsageError(fmt::format("--out {}: the column '{}' appears twice, which JSON cannot hold; choose .csv",
                                   out_.string(), name));
    }
  }
  file_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail_io(part_, "open");
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    throw UsageError(
        fmt::format("--out {}: another process writes it; wait for it, or choose another file", out_.string()));
  }
  if (!go_on()) begin();
}

TableWriter::~TableWriter() {
  if (file_ >= 0 && task_.empty()) discard();  // nobody goes on with it
  if (file_ >= 0) ::close(file_);
}

// Whether a part of this task was found, which then ends where its notes say.
bool TableWriter::go_on() {
  if (task_.empty() || !is_there(notes_)) return false;
  try {
    const json::value notes = json::parse(read_file(notes_));
    if (notes.at("task").as_string() != task_) return false;
    const int64_t bytes = notes.at("bytes").as_int64(), rows = notes.at("rows").as_int64();
    if (::lseek(file_, 0, SEEK_END) < bytes || bytes < 0 || ::ftruncate(file_, bytes) != 0) return false;
    bytes_ = ::lseek(file_, 0, SEEK_END);
    rows_ = rows;
    return true;
  } catch (const std::bad_alloc&) { throw; } catch (const std::exception&) {
    return false;
  }  // not what note() wrote
}

void TableWriter::begin() {
  if (::ftruncate(file_, 0) != 0) fail_io(part_, "truncate");
  ::lseek(file_, 0, SEEK_SET);
  if (format_ == OutputFormat::json) buffer_ = "[";
  if (format_ == OutputFormat::csv || format_ == OutputFormat::tsv || format_ == OutputFormat::xlsx) {
    std::vector<AddedValue> added;
    for (const std::string& name : head_.added) added.push_back({name, false});
    append_record(head_.columns, added);
  }
  write_out();
  if (!task_.empty()) note();
}

void TableWriter::append_record(std::span<const std::string> fields, std::span<const AddedValue> added) {
  const char delimiter = delimiter_of(format_);
  const char special[] = {delimiter, '"', '\n', '\r', '\0'};
  const size_t begin = buffer_.size();
  bool first = true;
  const auto put = [&](std::string_view field) {
    if (!std::exchange(first, false)) buffer_ += delimiter;
    if (field.find_first_of(special) == field.npos) {
      buffer_ += field;
      return;
    }
    buffer_ += '"';
    for (const char c : field) buffer_.append(c == '"' ? 2 : 1, c);
    buffer_ += '"';
  };
  for (const std::string& field : fields) put(field);
  for (const AddedValue& value : added) put(value.text);
  if (buffer_.size() == begin) buffer_ += "\"\"";  // a blank line is no row
  buffer_ += '\n';
}

void TableWriter::append_object(std::span<const std::string> fields, std::string_view object,
                                std::span<const AddedValue> added) {
  JsonWriter more(JsonWriter::Style::kSpaced);
  more.begin_object();
  if (object.empty()) {
    for (size_t i = 0; i < fields.size(); ++i) more.member(head_.columns[i], fields[i]);
  }
  for (size_t i = 0; i < added.size(); ++i) {
    more.key(head_.added[i]);
    if (added[i].text.empty()) {
      more.raw("null");
    } else if (added[i].number) {
      more.raw(added[i].text);
    } else {
      more.value(added[i].text);
    }
  }
  std::string line = more.end().take();
  if (!object.empty()) {
    const size_t end = object.rfind('}');
    std::string before(object.substr(0, end));
    // Line breaks stand only between the parts of an object.
    std::ranges::replace_if(
        before, [](char c) { return c == '\n' || c == '\r'; }, ' ');
    const size_t begin = before.find('{');
    const size_t last = before.find_last_not_of(" \t");
    before = before.substr(begin, last + 1 - begin);
    line = before + (before.size() > 1 ? ", " : "") + line.substr(1);
  }
  if (format_ == OutputFormat::json) buffer_ += rows_ > 0 ? ",\n" : "\n";
  buffer_ += line;
  if (format_ == OutputFormat::jsonl) buffer_ += '\n';
}

void TableWriter::check_cell(std::string_view text, const std::string& column, const std::string& where) const {
  if (text.size() <= kMostCharacters || nn::count_characters(text) <= kMostCharacters) return;
  throw DataError(fmt::format("{}: the column '{}' has {} characters, and a cell of a workbook holds {}; choose .csv",
                              where, column, nn::count_characters(text), kMostCharacters));
}

void TableWriter::add(std::span<const std::string> fields, std::string_view object, std::span<const AddedValue> added,
                      const std::string& where) {
  switch (format_) {
    case OutputFormat::jsonl:
    case OutputFormat::json: append_object(fields, object, added); break;
    case OutputFormat::text: buffer_ += added.front().text + "\n"; break;
    case OutputFormat::xlsx:
      if (rows_ + 2 > kMostRows) {
        throw DataError(fmt::format("{}: a sheet of a workbook holds {} rows; choose .csv", where, kMostRows));
      }
      for (size_t i = 0; i < fields.size(); ++i) check_cell(fields[i], head_.columns[i], where);
      [[fallthrough]];
    default: append_record(fields, added);
  }
  ++rows_;
  if (buffer_.size() >= kBufferBytes) write_out();
  if (!task_.empty() && std::chrono::steady_clock::now() - noted_ >= kNoteInterval) {
    write_out();
    note();
  }
}

void TableWriter::write_out() {
  for (std::string_view rest = buffer_; !rest.empty();) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io(part_, "write");
    rest.remove_prefix(static_cast<size_t>(written));
  }
  bytes_ += std::ssize(buffer_);
  buffer_.clear();
}

void TableWriter::note() {
  if (::fdatasync(file_) != 0) fail_io(part_, "sync");
  JsonWriter notes;
  notes.begin_object().member("task", task_).member("rows", rows_).member("bytes", bytes_).end();
  write_file_atomically(notes_, notes.take());
  noted_ = std::chrono::steady_clock::now();
}

void TableWriter::finish() {
  if (format_ == OutputFormat::json) buffer_ += rows_ > 0 ? "\n]\n" : "]\n";
  write_out();
  if (::fsync(file_) != 0) fail_io(part_, "sync");
  const std::filesystem::path whole = format_ == OutputFormat::xlsx ? make_workbook() : part_;
  std::error_code error;
  std::filesystem::rename(whole, out_, error);
  if (error) throw IoError(fmt::format("{}: cannot rename to {}: {}", whole.string(), out_.string(), error.message()));
  sync_folder(parent_folder(out_));
  discard();
}

void TableWriter::discard() noexcept {
  ::unlink(part_.c_str());
  ::unlink(notes_.c_str());
  task_.clear();
}

// Makes a workbook of the part, which is CSV, beside it.
std::filesystem::path TableWriter::make_workbook() const {
  const std::string file = out_.string() + ".part.xlsx";
  std::string folder = parent_folder(out_).string();
  const auto check = [&](lxw_error code) {
    if (code == LXW_NO_ERROR) return;
    throw IoError(fmt::format("{}: cannot write the workbook: {}", out_.string(), lxw_strerror(code)));
  };
  lxw_workbook_options options{};
  options.constant_memory = LXW_TRUE;
  options.tmpdir = folder.data();
  lxw_workbook* const book = workbook_new_opt(file.c_str(), &options);
  if (book == nullptr) throw IoError(fmt::format("{}: cannot make a workbook", file));
  bool open = true;
  try {
    lxw_worksheet* const sheet = workbook_add_worksheet(book, nullptr);
    nn::RecordReader reader(part_, nn::RecordFormat::csv,
                            {.max_line_bytes = size_t{1} << 30, .repeated_columns = true});
    lxw_row_t row = 0;
    for (size_t i = 0; i < reader.header().size(); ++i) {
      check(worksheet_write_string(sheet, row, static_cast<lxw_col_t>(i), escaped_cell(reader.header()[i]).c_str(),
                                   nullptr));
    }
    while (const auto record = reader.next()) {
      ++row;
      for (size_t i = 0; i < record->size(); ++i) {
        const std::string& text = (*record)[i];
        const auto column = static_cast<lxw_col_t>(i);
        if (text.empty()) continue;
        const std::optional<double> number = number_of_cell(text);
        // What was added behind the label are figures of any length.
        const bool as_number = number && (i > head_.columns.size() || is_shown_number(text));
        check(as_number ? worksheet_write_number(sheet, row, column, *number, nullptr)
                        : worksheet_write_string(sheet, row, column, escaped_cell(text).c_str(), nullptr));
      }
    }
    open = false;
    check(workbook_close(book));
  } catch (...) {
    if (open) lxw_workbook_free(book);
    std::error_code absent;
    std::filesystem::remove(file, absent);
    throw;
  }
  const int written = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (written < 0) fail_io(file, "open");
  const bool synced = ::fsync(written) == 0;
  ::close(written);
  if (!synced) fail_io(file, "sync");
  return file;
}

}  // namespace qing::serve::cli
