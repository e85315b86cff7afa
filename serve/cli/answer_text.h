// What commands that talk to a server read from its answers.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

namespace qing::serve::cli {

/// The answer as an object. IoError, which names the command, when it is none.
boost::json::object object_of(std::string_view command, const std::string& answer);
/// A member for people: a text as it is, any other value as JSON, "-" for null and for an absent one.
std::string text_of(const boost::json::object& object, std::string_view name);
/// A member that counts seconds since 1970 as "2026-01-31T12:00:00Z"; "-" for anything else.
std::string moment_of(const boost::json::object& object, std::string_view name);

}  // namespace qing::serve::cli
