// The query of a request's target.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace qing::serve {

/// Decodes escapes such as "%3A" (RFC 3986, 2.1). Invalid escapes stay as they are.
std::string percent_decoded(std::string_view text);

/// The parameters of a query by name, both decoded as forms are (a plus is a space). Of several with one name the last
/// stands. https://url.spec.whatwg.org/#application/x-www-form-urlencoded
std::map<std::string, std::string, std::less<>> query_parameters(std::string_view query);

}  // namespace qing::serve
