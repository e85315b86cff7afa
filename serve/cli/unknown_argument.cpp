#include <qing/serve/cli/unknown_argument.h>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

namespace qing::serve::cli {
namespace {

// The number of characters to insert, remove or replace.
size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);  // of the prefix of `a` so far with each prefix of `b`
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

// The option of the command whose name is likest; empty when none is alike.
std::string likest_option(const CLI::App& command, const std::string& given) {
  constexpr size_t kMostEdits = 2;
  std::string best;
  size_t least = kMostEdits + 1;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      const size_t edits = edits_between(given, "--" + name);
      if (edits < least) least = edits, best = "--" + name;
    }
  }
  return best;
}

}  // namespace

std::string about_unknown_argument(const CLI::App& app) {
  const CLI::App* command = &app;
  std::string name = app.get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  const std::vector<std::string> words = command->remaining();
  const auto option = std::ranges::find_if(words, [](const std::string& word) { return word.starts_with('-'); });
  if (option == words.end()) {
    return fmt::format("{}: the argument '{}' has no place; see {} --help", name, words.empty() ? "" : words.front(),
                       name);
  }
  const std::string given = option->substr(0, option->find('='));
  const std::string likest = likest_option(*command, given);
  return fmt::format("{}: there is no option {}; {}see {} --help", name, given,
                     likest.empty() ? "" : fmt::format("did you mean {}? Otherwise ", likest), name);
}

}  // namespace qing::serve::cli
