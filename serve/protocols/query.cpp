#include "query.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <qing/serve/http/router.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {
namespace {

std::string decoded(std::string text) {
  std::ranges::replace(text, '+', ' ');
  return percent_decoded(text);
}

}  // namespace

Query query_of(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    query.emplace_back(decoded(std::string(pair.substr(0, equals))),
                       decoded(std::string(pair.substr(std::min(pair.size(), equals + 1)))));
  }
  return query;
}

void check_query(const Query& query, std::initializer_list<std::string_view> known) {
  for (auto entry = query.begin(); entry != query.end(); ++entry) {
    if (std::ranges::find(known, entry->first) == known.end()) {
      refuse_field(
          fmt::format("query: has a parameter that this route does not take; it takes {}", fmt::join(known, ", ")));
    }
    const auto same = [&](const auto& other) { return other.first == entry->first; };
    if (std::any_of(entry + 1, query.end(), same))
      refuse_field(fmt::format("{}: stands twice in the query", entry->first));
  }
}

std::string_view value_of(const Query& query, std::string_view name) {
  const auto found = std::ranges::find(query, name, [](const auto& entry) { return std::string_view(entry.first); });
  return found == query.end() ? std::string_view() : std::string_view(found->second);
}

bool flag_of(const Query& query, std::string_view name) {
  const std::string_view value = value_of(query, name);
  if (!value.empty() && value != "true" && value != "false") {
    refuse_field(fmt::format("{}: must be true or false", name));
  }
  return value == "true";
}

size_t integer_of(const Query& query, std::string_view name, size_t least, size_t most, size_t missing) {
  const std::string_view text = value_of(query, name);
  if (text.empty()) return missing;
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    refuse_field(fmt::format("{}: must be a whole number from {} to {}", name, least, most));
  }
  return value;
}

}  // namespace qing::serve::protocols
