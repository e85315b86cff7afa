#include <qing/nn/data/table_layout.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/record_reader.h>
#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr std::string_view kDelimiters = ",;\t|";
constexpr size_t kSampleRows = 100;
constexpr std::string_view kFastTextLabel = "__label__";

std::string_view first_line(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") != line.npos) return line;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

// The separator that a line "sep=;" names. Excel writes it, in quotes too.
std::optional<char> named_separator(std::string_view line) {
  if (line.size() == 7 && line.front() == '"' && line.back() == '"') line = line.substr(1, 5);
  if (line.size() != 5 || line[3] != '=') return std::nullopt;
  for (size_t i = 0; i < 3; ++i) {
    if ((line[i] | 0x20) != "sep"[i]) return std::nullopt;
  }
  return line[4];
}

// What a table would be with one separator.
struct Candidate {
  char delimiter = ',';
  size_t fields = 0;  // of the header
  size_t filled = 0;  // fields of the header that are not blank
  size_t known = 0;   // fields of the header with a known name
  size_t rows = 0, good = 0;

  bool is_table() const { return fields >= 2; }
  bool is_even() const { return rows > 0 && good * 10 >= rows * 9; }
  auto rank() const { return std::tuple(is_table(), known, is_even(), fields); }
};

Candidate tried(char delimiter, std::string_view sample, bool whole, const TableOptions& options) {
  Candidate candidate{.delimiter = delimiter};
  const ByteInput input = [sample](std::span<char> into) mutable {
    const size_t count = std::min(into.size(), sample.size());
    std::memcpy(into.data(), sample.data(), count);
    sample.remove_prefix(count);
    return count;
  };
  try {
    RecordReader reader("", RecordFormat::csv, input,
                        {.max_line_bytes = options.max_row_bytes, .delimiter = delimiter, .repeated_columns = true});
    candidate.fields = reader.header().size();
    for (const std::string& name : reader.header()) {
      candidate.filled += is_blank(name) ? 0 : 1;
      candidate.known += std::ranges::count(options.known_columns, lowered(trimmed(name))) > 0 ? 1 : 0;
    }
    bool good = true;
    for (; candidate.rows < kSampleRows; ++candidate.rows) {
      try {
        if (!reader.next()) break;
        good = true;
        ++candidate.good;
      } catch (const LineError&) { good = false; }
    }
    // The sample may cut the last record.
    if (!whole && !good && candidate.rows < kSampleRows) --candidate.rows;
  } catch (const LineError&) {  // there is no header, which the reader of the table will say
  }
  return candidate;
}

Candidate best_of(std::string_view delimiters, std::string_view sample, bool whole, const TableOptions& options) {
  Candidate best = tried(delimiters.front(), sample, whole, options);
  for (const char delimiter : delimiters.substr(1)) {
    const Candidate other = tried(delimiter, sample, whole, options);
    if (other.rank() > best.rank()) best = other;
  }
  return best;
}

// A table below a title, and the lines above its header.
struct Titled {
  Candidate table;
  size_t lines = 0;
};

// Takes the first line off, and the blank ones below it. Returns how many they are.
size_t take_line(std::string_view& text) {
  size_t lines = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (lines > 0 && text.substr(0, end).find_first_not_of(" \t\r") != text.npos) break;
    text.remove_prefix(std::min(end + 1, text.size()));
    ++lines;
  }
  return lines;
}

// Lines with one filled field, above a header with known names and rows that fit it. Nothing when the first line may be
// the header.
std::optional<Titled> titled(std::string_view delimiters, std::string_view sample, bool whole,
                             const TableOptions& options) {
  std::optional<Titled> best;
  for (const char delimiter : delimiters) {
    std::string_view rest = sample;
    size_t names = 1;  // known ones that the header must have
    Titled found{.table = tried(delimiter, rest, whole, options)};
    for (size_t i = 0; i < kMostTitleLines && found.table.filled == 1; ++i) {
      // This line may be the header of a column of texts whose first text has commas, so one known name is no proof.
      if (found.table.known > 0) names = 2;
      found.lines += take_line(rest);
      found.table = tried(delimiter, rest, whole, options);
    }
    const Candidate& table = found.table;
    if (found.lines == 0 || table.filled < 2 || table.known < names || !table.is_even()) continue;
    if (!best || table.rank() > best->table.rank()) best = found;
  }
  return best;
}

struct Foreign {
  const char* suffixes;  // each followed by a space
  std::string_view bytes;
  const char* what;
  const char* remedy;
};

constexpr std::array<Foreign, 9> kForeign = {{
    {".parquet .pq ", "PAR1", "Parquet",
     "convert it: python3 -c \"import pandas; pandas.read_parquet('{0}').to_csv('{0}.csv', index=False)\""},
    {".feather .arrow ", "ARROW1", "Arrow",
     "convert it: python3 -c \"import pandas; pandas.read_feather('{0}').to_csv('{0}.csv', index=False)\""},
    {".xls ", "\xD0\xCF\x11\xE0", "an old or encrypted workbook", "save it as .xlsx without a password"},
    {".ods .numbers .xlsb ", "", "another workbook", "save it as .xlsx or .csv"},
    {".gz .tgz ", "\x1F\x8B", "compressed", "unpack it with gunzip"},
    {".bz2 .xz .zst .7z .rar ", "", "compressed", "unpack it"},
    {".pkl .pickle ", "", "a pickle",
     "convert it: python3 -c \"import pandas; pandas.read_pickle('{0}').to_csv('{0}.csv', index=False)\""},
    {".pdf ", "%PDF", "a PDF", "save its texts as .csv or .txt"},
    {".doc .docx .htm .html .xml ", "", "a document", "save its texts as .csv or .txt"},
}};

}  // namespace

std::string suffix_of(const std::filesystem::path& path) { return lowered(path.extension().string()); }

bool is_workbook(const std::filesystem::path& path, std::string_view bytes) {
  const std::string suffix = suffix_of(path);
  return suffix == ".xlsx" || suffix == ".xlsm" || (suffix.empty() && bytes.starts_with("PK\x03\x04"));
}

void refuse_foreign(const std::filesystem::path& path, std::string_view bytes) {
  const std::string suffix = suffix_of(path);
  for (const Foreign& one : kForeign) {
    const bool by_suffix =
        !suffix.empty() && std::string_view(one.suffixes).find(suffix + " ") != std::string_view::npos;
    if (!by_suffix && (one.bytes.empty() || !bytes.starts_with(one.bytes))) continue;
    throw DataError(fmt::format("{}: is {}, which qing does not read; {}", path.string(), one.what,
                                fmt::format(fmt::runtime(one.remedy), path.string())));
  }
  const bool zip = bytes.starts_with("PK\x03\x04");
  if (is_workbook(path, bytes) && !zip && !bytes.empty()) {
    throw DataError(fmt::format("{}: is no workbook in spite of its name; name it .csv, .tsv or .jsonl as what it is",
                                path.string()));
  }
  if (zip && !is_workbook(path, bytes)) {
    throw DataError(
        fmt::format("{}: is a zip archive; name it .xlsx if it is a workbook, or unpack it", path.string()));
  }
}

TableLayout layout_of(const std::filesystem::path& path, std::string_view sample, bool whole,
                      const TableOptions& options) {
  const std::string given = suffix_of(path);
  const std::string suffix = given.empty() && options.lines_without_suffix ? ".txt" : given;
  const std::string_view line = first_line(sample);
  const char first = line.empty() ? '\0' : line[line.find_first_not_of(" \t")];
  const bool json_suffix = suffix == ".json" || suffix == ".jsonl" || suffix == ".ndjson";
  if (json_suffix || (given.empty() && (first == '{' || first == '['))) return {.format = TableFormat::json};
  const bool tsv = suffix == ".tsv" || suffix == ".tab", csv = suffix == ".csv";
  TableLayout layout;
  if (const std::optional<char> named =
          tsv || csv || suffix.empty() || suffix == ".txt" ? named_separator(line) : std::nullopt) {
    layout.skip_lines = 1;
    layout.delimiter = options.delimiter != 0 ? options.delimiter : *named;
    layout.guessed = true;
    return layout;
  }
  if (!tsv && !csv && options.delimiter == 0) {
    if (line.starts_with(kFastTextLabel)) {
      return {.format = TableFormat::fasttext, .guessed = suffix != ".ft" && suffix != ".fasttext"};
    }
    if (suffix == ".ft" || suffix == ".fasttext") return {.format = TableFormat::fasttext};
    if (suffix == ".txt") {
      // A table of a spreadsheet that was saved as text. The first line of other texts is no header.
      const Candidate best = best_of("\t,;|", sample, whole, options);
      if (!best.is_table() || best.known < 2 || !best.is_even()) return {.format = TableFormat::text};
      return {.format = TableFormat::csv, .delimiter = best.delimiter, .guessed = true};
    }
  }
  if (!tsv && !csv && !suffix.empty() && suffix != ".txt") {
    throw DataError(
        fmt::format("{}: unknown format '{}'; name it .tsv, .csv, .txt, .jsonl, .json or .xlsx as what it is",
                    path.string(), suffix));
  }
  Candidate chosen;
  if (options.delimiter != 0) {
    chosen = tried(options.delimiter, sample, whole, options);
  } else if (tsv) {
    chosen = tried('\t', sample, whole, options);
    const Candidate best = best_of(kDelimiters, sample, whole, options);
    if (!chosen.is_table() && best.is_table() && best.known > chosen.known) chosen = best;
    layout.guessed = chosen.delimiter != '\t';
  } else {
    chosen = best_of(kDelimiters, sample, whole, options);
    if (!chosen.is_table()) chosen = tried(',', sample, whole, options);
    layout.guessed = chosen.delimiter != ',' || !csv;
  }
  layout.delimiter = chosen.delimiter;
  if (chosen.filled == 1) {
    const std::string delimiters(options.delimiter != 0 ? std::string_view(&chosen.delimiter, 1) : kDelimiters);
    if (const std::optional<Titled> below = titled(delimiters, sample, whole, options)) {
      layout = {.delimiter = below->table.delimiter, .skip_lines = below->lines, .titled = true, .guessed = true};
    }
  }
  if (layout.delimiter == '\t' && !csv && suffix != ".txt") {
    layout.format = TableFormat::tsv;
    layout.quotes = false;  // tsv_has_quotes() knows better
  }
  return layout;
}

namespace {

// Reads TSV in both ways at once, as long as both are possible.
class QuoteScanner {
 public:
  // False when a field shows that quotes are no marks.
  bool take(char c) {
    plain(c);
    switch (state_) {
      case State::field_start:
        if (c == '"') {
          state_ = State::quoted;
          ++quoted_fields_;
          return true;
        }
        state_ = State::unquoted;
        [[fallthrough]];
      case State::unquoted: return unquoted(c);
      case State::quoted:
        if (c == '"') state_ = State::after_quote;
        return true;
      case State::after_quote:
        if (c == '"') {
          shown_ = true;
          state_ = State::quoted;
          return true;
        }
        if (c == '\r') return true;
        if (c != '\t' && c != '\n') return false;
        return unquoted(c);
    }
    return false;
  }
  bool end() {
    if (state_ == State::quoted) return false;
    if ((line_bytes_ > 0 || fields_ > 0) && !take('\n')) return false;
    return quoted_fields_ > 0 && (shown_ || all_of_header_ || (uneven_lines_ && !uneven_records_));
  }

 private:
  enum class State { field_start, unquoted, quoted, after_quote };

  bool unquoted(char c) {
    if (c == '\t') {
      ++fields_;
      state_ = State::field_start;
    } else if (c == '\n') {
      ++fields_;
      if (header_ == 0) {
        header_ = fields_;
        all_of_header_ = quoted_fields_ == fields_;
      } else if (fields_ != header_ && !(blank_ && fields_ == 1)) {
        uneven_records_ = true;
      }
      fields_ = 0;
      state_ = State::field_start;
    }
    return !uneven_records_;
  }
  void plain(char c) {
    if (c == '\t') ++tabs_;
    if (c == '\n') {
      blank_ = line_bytes_ == 0;
      if (line_header_ == 0) line_header_ = tabs_ + 1;
      if (!blank_ && tabs_ + 1 != line_header_) uneven_lines_ = true;
      tabs_ = line_bytes_ = 0;
    } else if (c != '\r') {
      ++line_bytes_;
    }
  }

  State state_ = State::field_start;
  size_t fields_ = 0, header_ = 0, quoted_fields_ = 0;
  size_t tabs_ = 0, line_header_ = 0, line_bytes_ = 0;
  bool shown_ = false, all_of_header_ = false, uneven_lines_ = false, uneven_records_ = false;
  bool blank_ = false;  // the line that has just ended
};

// Whether a field begins with a quote. This is quicker than the scanner, and most files have no such field.
bool has_quote_in_front(const ByteInput& input) {
  std::vector<char> piece(1 << 16);
  char before = '\n';
  for (size_t count = input(piece); count > 0; count = input(piece)) {
    const std::string_view bytes(piece.data(), count);
    for (size_t at = bytes.find('"'); at != bytes.npos; at = bytes.find('"', at + 1)) {
      const char previous = at > 0 ? bytes[at - 1] : before;
      if (previous == '\t' || previous == '\n') return true;
    }
    before = bytes.back();
  }
  return false;
}

}  // namespace

bool tsv_has_quotes(const std::function<ByteInput()>& open) {
  if (!has_quote_in_front(open())) return false;
  const ByteInput input = open();
  QuoteScanner scanner;
  // Byte order marks in front are no part of the first field.
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  bool in_front = true;
  size_t of_mark = 0;
  std::vector<char> piece(1 << 16);
  for (size_t count = input(piece); count > 0; count = input(piece)) {
    for (size_t i = 0; i < count; ++i) {
      in_front = in_front && piece[i] == kMark[of_mark];
      if (in_front) {
        of_mark = (of_mark + 1) % kMark.size();
      } else if (!scanner.take(piece[i])) {
        return false;
      }
    }
  }
  return scanner.end();
}

}  // namespace qing::nn
