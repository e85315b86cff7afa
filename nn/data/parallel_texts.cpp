#include <qing/nn/data/parallel_texts.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include <qing/nn/data/json_objects.h>
#include <qing/nn/data/record_reader.h>
#include <qing/nn/data/table_reader.h>
#include <qing/nn/data/text_encoding.h>
#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

// ISO 639-1, and the three-letter names of what large parallel corpora have.
constexpr std::string_view kLanguages =
    " aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el "
    "en "
    "eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv "
    "ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne "
    "ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st "
    "su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu "
    "ara cmn deu eng fra hin ita jpn kor nld pol por rus spa tur vie yue zho ";

// The last part of a path such as "translation.en".
std::string_view last_part(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == name.npos ? name : name.substr(dot + 1);
}

// A row that can be used, or nothing at the end. on_bad_row is told of the others.
template <class Next> auto next_good(const ParallelOptions& options, const Next& next) -> decltype(next()) {
  for (;;) {
    try {
      return next();
    } catch (const LineError& error) {
      if (!options.on_bad_row) throw;
      options.on_bad_row(error);
    }
  }
}

class PairTable {
 public:
  PairTable(const std::filesystem::path& path, const ParallelOptions& options)
      : options_(options), table_(path, table_options(options)) {
    if (table_.format() == TableFormat::text) {
      table_.fail_at_header("a file of lines has one text a line; give the other language's file beside it");
    }
    if (table_.format() != TableFormat::json) find_columns();
  }

  std::optional<TextPair> next() {
    if (!table_.next()) return std::nullopt;
    std::vector<std::string>& fields = table_.fields();
    if (table_.columns().size() != known_) find_columns();
    const auto take = [&](std::optional<size_t> at) {
      return at && *at < fields.size() ? std::move(fields[*at]) : std::string();
    };
    TextPair pair{.source = take(source_), .target = take(target_)};
    pair.document = take(document_);
    pair.origin = take(origin_);
    pair.line = table_.line();
    return pair;
  }

  const std::string& source_column() const { return table_.columns()[*source_]; }
  const std::string& target_column() const { return table_.columns()[*target_]; }
  bool found() const { return source_.has_value(); }
  std::string guesses() const {
    std::vector<std::string> parts;
    if (table_.is_guessed()) parts.push_back(table_.description());
    if (options_.source_column.empty()) parts.push_back(fmt::format("source '{}'", visible(source_column())));
    if (options_.target_column.empty()) parts.push_back(fmt::format("target '{}'", visible(target_column())));
    return fmt::format("{}", fmt::join(parts, ", "));
  }

 private:
  static TableOptions table_options(const ParallelOptions& options) {
    TableOptions table = options.table;
    table.max_row_bytes = options.max_line_bytes;
    table.known_columns = {"source", "target", "src", "tgt", "en", "zh", "document"};
    for (const std::string& name : {options.source_column, options.target_column}) {
      if (!name.empty()) table.known_columns.push_back(name);
    }
    return table;
  }

  std::optional<size_t> place_of(std::string_view name) const {
    const std::vector<std::string>& names = table_.columns();
    const auto found =
        std::ranges::find_if(names, [&](const std::string& column) { return same_letters(column, name); });
    if (found == names.end()) return std::nullopt;
    return static_cast<size_t>(found - names.begin());
  }

  // The columns with names of languages. "id" is one, but more often numbers the rows.
  std::vector<size_t> languages() const {
    std::vector<size_t> places;
    for (size_t i = 0; i < table_.columns().size(); ++i) {
      if (is_language(last_part(table_.columns()[i]))) places.push_back(i);
    }
    if (places.size() > 2) std::erase_if(places, [&](size_t i) { return last_part(table_.columns()[i]) == "id"; });
    return places;
  }

  void find_columns() {
    known_ = table_.columns().size();
    source_ = options_.source_column.empty() ? std::nullopt : named(options_.source_column);
    target_ = options_.target_column.empty() ? std::nullopt : named(options_.target_column);
    if (!source_ || !target_) guess();
    document_ = other_than_texts(place_of("document"));
    origin_ = other_than_texts(place_of("source"));
  }

  std::optional<size_t> other_than_texts(std::optional<size_t> place) const {
    return place == source_ || place == target_ ? std::nullopt : place;
  }

  std::optional<size_t> named(const std::string& name) const {
    const auto place = place_of(name);
    if (!place) fail_without(fmt::format("no column '{}'", name), "give the name of the column");
    return place;
  }

  void guess() {
    for (const auto& [source, target] : {std::pair("source", "target"), {"src", "tgt"}}) {
      const auto first = source_ ? source_ : place_of(source), second = target_ ? target_ : place_of(target);
      if (first && second && *first != *second) {
        source_ = first;
        target_ = second;
        return;
      }
    }
    std::vector<size_t> places = languages();
    if (!source_) source_ = of_language(places, options_.source_language, target_);
    if (!target_) target_ = of_language(places, options_.target_language, source_);
    if (source_ && target_) return;
    std::erase_if(places, [&](size_t place) { return place == source_ || place == target_; });
    if (places.size() != (source_ || target_ ? 1U : 2U)) {
      fail_without("the columns of the two languages are not known", "name both columns");
    }
    if (!source_) source_ = places.front();
    if (!target_) target_ = places.back();
  }

  // The first of these columns that is named like a language, and is not the other side's.
  std::optional<size_t> of_language(const std::vector<size_t>& places, const std::string& language,
                                    std::optional<size_t> other) const {
    if (language.empty()) return std::nullopt;
    const auto found = std::ranges::find_if(places, [&](size_t place) {
      return place != other && language_of_column(table_.columns()[place]) == language;
    });
    return found == places.end() ? std::nullopt : std::optional(*found);
  }

  [[noreturn]] void fail_without(const std::string& what, const char* remedy) const {
    std::vector<std::string> shown;
    for (const std::string& name : table_.columns()) shown.push_back(fmt::format("'{}'", visible(name)));
    table_.fail_at_header(fmt::format("{} among {}; {}", what, fmt::join(shown, ", "), remedy));
  }

  const ParallelOptions& options_;
  TableReader table_;
  size_t known_ = 0;  // columns when their places were found; a row of JSON may add some
  std::optional<size_t> source_, target_, document_, origin_;
};

// Takes the pair, or counts it if a side is blank.
void keep(ParallelTexts& texts, TextPair pair) {
  if (is_blank(pair.source) || is_blank(pair.target)) {
    ++texts.blank;
  } else {
    texts.pairs.push_back(std::move(pair));
  }
}

void check_pairs(const ParallelTexts& texts, const std::filesystem::path& path) {
  if (!texts.pairs.empty()) return;
  throw DataError(fmt::format("{}: has no pairs of texts", path.string()));
}

// The lines of a text in any encoding that is guessed, or in the one that the options name.
class Lines {
 public:
  Lines(const std::filesystem::path& path, const ParallelOptions& options)
      : encoding_(options.table.encoding.empty() ? guess_file_encoding(path) : encoding_named(options.table.encoding)),
        reader_(path.string(), decoded(input_of(path), encoding_), options.max_line_bytes) {}

  std::optional<std::string> next() {
    const auto line = reader_.next();
    if (!line) return std::nullopt;
    return std::string(line->ends_with('\r') ? line->substr(0, line->size() - 1) : *line);
  }
  size_t line() const { return reader_.line(); }
  const std::string& encoding() const { return encoding_; }

 private:
  std::string encoding_;
  LineReader reader_;
};

std::string without_dot(const std::filesystem::path& path) {
  const std::string suffix = path.extension().string();
  return suffix.empty() ? suffix : suffix.substr(1);
}

}  // namespace

bool is_language(std::string_view name) {
  const size_t end = name.find_first_of("-_");
  const std::string_view language = name.substr(0, end);
  if (language.size() < 2 || language.size() > 3) return false;
  if (!std::ranges::all_of(language, [](char c) { return c >= 'a' && c <= 'z'; })) return false;
  if (end != name.npos) {
    const std::string_view rest = name.substr(end + 1);
    const auto is_sign = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    if (rest.size() < 2 || rest.size() > 11 || !std::ranges::all_of(rest, is_sign)) return false;
  }
  return kLanguages.find(fmt::format(" {} ", language)) != kLanguages.npos;
}

std::string language_of_column(std::string_view column) {
  std::string name(column.substr(column.rfind('.') + 1));
  if (!is_language(name)) return {};
  std::ranges::replace(name, '-', '_');
  return name;
}

ParallelTexts read_parallel(const std::filesystem::path& path, const ParallelOptions& options) {
  PairTable table(path, options);
  ParallelTexts texts;
  while (std::optional<TextPair> pair = next_good(options, [&] { return table.next(); })) keep(texts, *std::move(pair));
  check_pairs(texts, path);
  texts.source_column = table.source_column();
  texts.target_column = table.target_column();
  if (const std::string guesses = table.guesses(); options.on_guess && !guesses.empty()) {
    options.on_guess(path, guesses);
  }
  return texts;
}

ParallelTexts read_parallel(const std::filesystem::path& source, const std::filesystem::path& target,
                            const ParallelOptions& options) {
  Lines sources(source, options), targets(target, options);
  ParallelTexts texts{.pairs = {}, .source_column = without_dot(source), .target_column = without_dot(target)};
  // A line that cannot be read leaves out its pair, and both files go on with the line after it.
  const auto line_of = [&](Lines& lines, bool& good) -> std::optional<std::string> {
    try {
      return lines.next();
    } catch (const LineError& error) {
      if (!options.on_bad_row) throw;
      options.on_bad_row(error);
      good = false;
      return std::string();
    }
  };
  for (;;) {
    bool good = true;
    std::optional<std::string> from = line_of(sources, good), to = line_of(targets, good);
    if (from.has_value() != to.has_value()) {
      throw DataError(fmt::format("{}: has {} lines than {}, whose line {} has no partner; give files of equally many",
                                  source.string(), from ? "more" : "fewer", target.string(),
                                  std::max(sources.line(), targets.line())));
    }
    if (!from) break;
    if (!good) continue;
    keep(texts, {.source = *std::move(from), .target = *std::move(to), .line = sources.line()});
  }
  check_pairs(texts, source);
  return texts;
}

}  // namespace qing::nn
