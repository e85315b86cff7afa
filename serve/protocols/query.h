// The query of a URL: names and values, percent-decoded (RFC 3986; "+" is a space, as forms have it).
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qing::serve::protocols {

using Query = std::vector<std::pair<std::string, std::string>>;

Query query_of(std::string_view text);
/// Refusal with 422 for a name that is not `known`, and for one that stands twice.
void check_query(const Query& query, std::initializer_list<std::string_view> known);
/// Empty when there is none.
std::string_view value_of(const Query& query, std::string_view name);
/// "true" or "false"; false when there is none. Refusal with 422.
bool flag_of(const Query& query, std::string_view name);
/// A whole number in [least, most]; `missing` when there is none. Refusal with 422.
size_t integer_of(const Query& query, std::string_view name, size_t least, size_t most, size_t missing);

}  // namespace qing::serve::protocols
