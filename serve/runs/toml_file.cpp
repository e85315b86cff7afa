// The only file that includes toml++, which is slow to compile.
#include <qing/serve/runs/toml_file.h>

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>

#include <qing/serve/common/usage_error.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : file_(file.string()), text_(read_file(file)) {}

  std::vector<TomlEntry> read() {
    try {
      add(toml::parse(std::string_view(text_)), "");
    } catch (const toml::parse_error& error) {
      fail(error.source(), std::string(error.description()) + "; texts stand in quotes");
    }
    std::ranges::stable_sort(entries_, {}, &TomlEntry::line);
    return std::move(entries_);
  }

 private:
  void add(const toml::table& table, const std::string& section) {
    for (const auto& [key, node] : table) {
      if (const toml::table* inner = node.as_table()) {
        add(*inner, section.empty() ? std::string(key.str()) : fmt::format("{}.{}", section, key.str()));
        continue;
      }
      TomlEntry entry{section, std::string(key.str()), {}, node.is_array(), key.source().begin.line};
      if (const toml::array* list = node.as_array()) {
        for (const toml::node& element : *list) entry.values.push_back(text_of(element, entry.key));
      } else {
        entry.values.push_back(text_of(node, entry.key));
      }
      entries_.push_back(std::move(entry));
    }
  }

  std::string text_of(const toml::node& node, const std::string& key) const {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
    if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
    if (const auto* number = node.as_floating_point()) return as_written(*number);
    fail(node.source(), key + ": must be a text, a number, true, false, or a list of these");
  }

  // The text of the number in the file: "1e-3" is to be recorded as it was given, not as 0.001.
  std::string as_written(const toml::value<double>& number) const {
    std::string shortest = fmt::format("{}", number.get());
    const toml::source_region& region = number.source();
    std::istringstream lines(text_);
    std::string line;
    for (toml::source_index i = 0; i < region.begin.line; ++i) std::getline(lines, line);
    const size_t begin = region.begin.column - 1, end = region.end.column - 1;
    if (region.end.line != region.begin.line || begin >= end || end > line.size()) return shortest;
    const std::string_view written = std::string_view(line).substr(begin, end - begin);
    // Columns count characters, not bytes, so the text is checked.
    double read = 0;
    const auto [stop, error] = std::from_chars(written.data(), written.data() + written.size(), read);
    const bool same = error == std::errc() && stop == written.data() + written.size() && read == number.get();
    return same ? std::string(written) : shortest;
  }

  [[noreturn]] void fail(const toml::source_region& where, const std::string& what) const {
    throw UsageError(fmt::format("{}:{}: {}", file_, where.begin.line, what));
  }

  const std::string file_, text_;
  std::vector<TomlEntry> entries_;
};

}  // namespace

std::vector<TomlEntry> read_toml(const std::filesystem::path& file) { return Reader(file).read(); }

std::string toml_quoted(std::string_view text) {
  std::ostringstream out;
  const toml::value<std::string> value{std::string(text)};
  // toml++ 3.3 writes control characters unescaped into literal strings, which is invalid TOML.
  const auto flags = toml::toml_formatter::default_flags & ~toml::format_flags::allow_multi_line_strings &
                     ~toml::format_flags::allow_literal_strings;
  out << toml::toml_formatter{value, flags};
  return out.str();
}

bool is_toml_number(std::string_view text) {
  try {
    const toml::table table = toml::parse(fmt::format("number = {}", text));
    return table.size() == 1 && table["number"].is_number();
  } catch (const toml::parse_error&) { return false; }
}

}  // namespace qing::serve::cli
