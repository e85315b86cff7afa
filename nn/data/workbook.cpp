#include <qing/nn/data/workbook.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <qing/nn/data/zipped_xml.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr size_t kMostColumns = 16384;  // XFD, Excel's last one

// Decodes "_x000D_", which stands for a character that XML cannot hold (ST_Xstring).
std::string without_escapes(const std::string& text) {
  if (text.find("_x") == text.npos) return text;
  std::string out;
  for (size_t i = 0; i < text.size();) {
    unsigned code = 0;
    const char* const digits = text.data() + i + 2;
    if (i + 7 <= text.size() && text.compare(i, 2, "_x") == 0 && text[i + 6] == '_' &&
        std::from_chars(digits, digits + 4, code, 16).ptr == digits + 4 && code < 0xD800) {
      append_utf8(out, code);
      i += 7;
    } else {
      out += text[i++];
    }
  }
  return out;
}

// Whether a number format shows dates or times: it has one of their letters outside quotes and brackets.
bool shows_dates(std::string_view format) {
  bool quoted = false, bracketed = false;
  for (size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if (c == '\\' || c == '_' || c == '*') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == ']')) {
      bracketed = c == '[';
    } else if (!quoted && !bracketed && std::string_view("ymdhsYMDHS").find(c) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

bool shows_dates(unsigned id) {
  return (id >= 14 && id <= 22) || (id >= 27 && id <= 36) || (id >= 45 && id <= 47) || (id >= 50 && id <= 58);
}

// Excel's day 60 is 1900-02-29, which did not exist.
std::string date_text(double serial, bool from_1904) {
  const double days = std::floor(serial);
  auto seconds = static_cast<int64_t>(std::llround((serial - days) * 86400));
  auto day = static_cast<int64_t>(days) + seconds / 86400;
  seconds %= 86400;
  std::string time = fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (day == 0 && !from_1904) return time;
  day += from_1904 ? -24107 : day < 60 ? -25568 : -25569;  // since 1970
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  const std::string shown = fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                                        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return seconds == 0 ? shown : shown + " " + time;
}

unsigned unsigned_of(std::string_view text) {
  unsigned number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// The column of a reference such as "AB12", from 0. Nothing for another text.
std::optional<size_t> column_of(std::string_view reference) {
  size_t column = 0, letters = 0;
  while (letters < reference.size() && reference[letters] >= 'A' && reference[letters] <= 'Z' && letters < 4) {
    column = column * 26 + static_cast<size_t>(reference[letters++] - 'A') + 1;
  }
  if (letters == 0 || column > kMostColumns) return std::nullopt;
  return column - 1;
}

std::string column_name(size_t column) {
  std::string name;
  for (size_t rest = column + 1; rest > 0; rest = (rest - 1) / 26) {
    name.insert(name.begin(), static_cast<char>('A' + (rest - 1) % 26));
  }
  return name;
}

// What the workbook says beside its cells.
struct Workbook {
  std::vector<std::string> names, targets;  // of the sheets
  std::vector<bool> hidden;
  std::vector<std::string> strings;
  std::vector<bool> dates;  // by the style of a cell
  bool from_1904 = false;
};

std::string target_path(std::string_view target) {
  return target.starts_with('/') ? std::string(target.substr(1)) : "xl/" + std::string(target);
}

void read_sheet_names(ZippedXml& archive, Workbook& book) {
  std::map<std::string, std::string, std::less<>> targets;
  if (archive.has("xl/_rels/workbook.xml.rels")) {
    archive.parse("xl/_rels/workbook.xml.rels", {.begin =
                                                     [&](std::string_view name, const XmlHandlers::Attribute& of) {
                                                       if (name != "Relationship") return;
                                                       targets[std::string(of("Id"))] = target_path(of("Target"));
                                                     },
                                                 .end = {},
                                                 .text = {}});
  }
  std::vector<std::string> ids;
  archive.parse("xl/workbook.xml", {.begin =
                                        [&](std::string_view name, const XmlHandlers::Attribute& of) {
                                          if (name == "workbookPr") {
                                            book.from_1904 = of("date1904") == "1" || of("date1904") == "true";
                                          }
                                          if (name != "sheet") return;
                                          book.names.emplace_back(of("name"));
                                          const auto found = targets.find(of("id"));
                                          book.targets.push_back(found == targets.end() ? "" : found->second);
                                          book.hidden.push_back(!of("state").empty() && of("state") != "visible");
                                        },
                                    .end = {},
                                    .text = {}});
}

void read_shared_strings(ZippedXml& archive, const std::string& path, Workbook& book) {
  if (!archive.has("xl/sharedStrings.xml")) return;
  std::string text;
  bool inside = false, phonetic = false;
  size_t bytes = 0;
  const auto count = [&](size_t more) {
    if ((bytes += more) <= SheetReader::kStringBytes) return;
    throw DataError(fmt::format("{}: its cells have more than {} MiB of text; save it as CSV", path,
                                SheetReader::kStringBytes >> 20));
  };
  archive.parse("xl/sharedStrings.xml", {.begin =
                                             [&](std::string_view name, const XmlHandlers::Attribute&) {
                                               if (name == "si") text.clear();
                                               if (name == "rPh") phonetic = true;  // a reading aid beside the text
                                               inside = name == "t" && !phonetic;
                                             },
                                         .end =
                                             [&](std::string_view name) {
                                               inside = false;
                                               if (name == "rPh") phonetic = false;
                                               if (name == "si") {
                                                 book.strings.push_back(without_escapes(text));
                                                 count(sizeof(std::string));
                                               }
                                             },
                                         .text =
                                             [&](std::string_view part) {
                                               if (!inside) return;
                                               text += part;
                                               count(part.size());
                                             }});
}

void read_styles(ZippedXml& archive, Workbook& book) {
  if (!archive.has("xl/styles.xml")) return;
  std::set<unsigned> date_formats;
  bool in_cells = false;
  archive.parse("xl/styles.xml", {.begin =
                                      [&](std::string_view name, const XmlHandlers::Attribute& of) {
                                        if (name == "numFmt" && shows_dates(of("formatCode"))) {
                                          date_formats.insert(unsigned_of(of("numFmtId")));
                                        }
                                        if (name == "cellXfs") in_cells = true;
                                        if (name != "xf" || !in_cells) return;
                                        const unsigned id = unsigned_of(of("numFmtId"));
                                        book.dates.push_back(shows_dates(id) || date_formats.contains(id));
                                      },
                                  .end = [&](std::string_view name) { in_cells = in_cells && name != "cellXfs"; },
                                  .text = {}});
}

// Makes rows of the elements of a sheet.
class SheetParser {
 public:
  SheetParser(const Workbook& book, size_t max_row_bytes) : book_(book), max_row_bytes_(max_row_bytes) {}

  std::deque<SheetRow> rows;

  void begin(std::string_view name, const XmlHandlers::Attribute& of) {
    if (name == "row") {
      const unsigned number = unsigned_of(of("r"));
      row_ = {.number = number > 0 ? number : last_ + 1, .fields = {}, .fault = {}};
      last_ = row_.number;
      column_ = 0;
      bytes_ = 0;
    } else if (name == "c") {
      if (const std::string_view reference = of("r"); !reference.empty()) {
        if (const auto column = column_of(reference)) {
          column_ = *column;
        } else {
          fault("a cell is outside the columns that Excel has");
        }
      }
      if (column_ >= kMostColumns) fault("the row has more cells than Excel allows");
      type_ = of("t");
      style_ = unsigned_of(of("s"));
      value_.clear();
    } else if (name == "rPh") {
      phonetic_ = true;
    }
    inside_ = name == "v" || (name == "t" && !phonetic_);
  }

  void end(std::string_view name) {
    inside_ = false;
    if (name == "rPh") phonetic_ = false;
    if (name == "c") {
      if (!value_.empty() && row_.fault.empty()) add(text_of_cell());
      ++column_;
    }
    if (name == "row" && (!row_.fields.empty() || !row_.fault.empty())) rows.push_back(std::move(row_));
  }

  void text(std::string_view part) {
    if (!inside_) return;
    if (bytes_ + value_.size() + part.size() > max_row_bytes_) {
      fault(fmt::format("the row is longer than the limit of {} bytes; split the text", max_row_bytes_));
      return;
    }
    value_ += part;
  }

 private:
  void fault(const std::string& what) {
    if (row_.fault.empty()) row_.fault = what;
  }
  void add(std::string text) {
    bytes_ += text.size();
    if (bytes_ > max_row_bytes_) {
      fault(fmt::format("the row is longer than the limit of {} bytes; split the text", max_row_bytes_));
      return;
    }
    if (text.empty()) return;
    if (row_.fields.size() <= column_) row_.fields.resize(column_ + 1);
    row_.fields[column_] = std::move(text);
  }
  std::string text_of_cell() {
    if (type_ == "s") {
      const unsigned at = unsigned_of(value_);
      if (at < book_.strings.size()) return book_.strings[at];
      fault(fmt::format("cell {}{} names a text that the workbook lacks; save it again", column_name(column_),
                        row_.number));
      return {};
    }
    if (type_ == "b") return value_ == "0" ? "FALSE" : "TRUE";
    if (type_ == "e") {
      fault(
          fmt::format("cell {}{} holds the error {}; correct its formula", column_name(column_), row_.number, value_));
      return {};
    }
    if (type_ == "str" || type_ == "inlineStr") return without_escapes(value_);
    if (type_ == "d") return value_;
    double number = 0;
    const auto read = std::from_chars(value_.data(), value_.data() + value_.size(), number);
    if (read.ec != std::errc() || read.ptr != value_.data() + value_.size()) {
      fault(fmt::format("cell {}{} holds no number, though it says so", column_name(column_), row_.number));
      return {};
    }
    constexpr double kLastDay = 2958466;  // 9999-12-31
    if (style_ < book_.dates.size() && book_.dates[style_] && number >= 0 && number < kLastDay) {
      return date_text(number, book_.from_1904);
    }
    return fmt::format("{}", number);
  }

  const Workbook& book_;
  size_t max_row_bytes_;
  SheetRow row_;
  size_t last_ = 0, column_ = 0, bytes_ = 0;
  std::string type_, value_;
  unsigned style_ = 0;
  bool inside_ = false, phonetic_ = false;
};

}  // namespace

struct SheetReader::Impl {
  Impl(const std::filesystem::path& path, const std::string& wanted, size_t max_row_bytes)
      : archive(path), sheet(book, max_row_bytes) {
    if (!archive.has("xl/workbook.xml")) {
      throw DataError(fmt::format("{}: is a zip archive without a workbook; {}", path.string(),
                                  archive.has("content.xml") ? "save it as .xlsx" : "unpack it"));
    }
    read_sheet_names(archive, book);
    for (size_t i = 0; i < book.names.size() && chosen == kNone; ++i) {
      if (wanted.empty() ? !book.hidden[i] : book.names[i] == wanted) chosen = i;
    }
    if (chosen == kNone || !archive.has(book.targets[chosen])) {
      throw DataError(
          fmt::format("{}: no sheet '{}'; the workbook has: {}", path.string(), wanted, fmt::join(book.names, ", ")));
    }
    read_shared_strings(archive, path.string(), book);
    read_styles(archive, book);
    parser.emplace(
        archive, book.targets[chosen],
        XmlHandlers{.begin = [this](std::string_view name, const XmlHandlers::Attribute& of) { sheet.begin(name, of); },
                    .end = [this](std::string_view name) { sheet.end(name); },
                    .text = [this](std::string_view part) { sheet.text(part); }});
  }

  static constexpr size_t kNone = size_t(-1);
  ZippedXml archive;
  Workbook book;
  SheetParser sheet;
  size_t chosen = kNone;
  std::optional<ZippedXml::Parser> parser;
};

SheetReader::SheetReader(const std::filesystem::path& path, const std::string& sheet, size_t max_row_bytes)
    : impl_(std::make_unique<Impl>(path, sheet, max_row_bytes)) {}
SheetReader::~SheetReader() = default;
SheetReader::SheetReader(SheetReader&&) noexcept = default;

std::optional<SheetRow> SheetReader::next() {
  while (impl_->sheet.rows.empty()) {
    if (!impl_->parser->step() && impl_->sheet.rows.empty()) return std::nullopt;
  }
  SheetRow row = std::move(impl_->sheet.rows.front());
  impl_->sheet.rows.pop_front();
  return row;
}

const std::string& SheetReader::sheet() const { return impl_->book.names[impl_->chosen]; }
const std::vector<std::string>& SheetReader::sheets() const { return impl_->book.names; }
uint64_t SheetReader::bytes_read() const { return impl_->parser->bytes_read(); }
uint64_t SheetReader::bytes() const { return impl_->parser->bytes(); }

}  // namespace qing::nn
