// JSON values as text.
#pragma once

#include <string>

#include <boost/json/fwd.hpp>

namespace qing::serve {

/// The value as JSON, with numbers as people write them: 44.5, where Boost.JSON writes 4.45E1.
std::string json_text(const boost::json::value& value);

}  // namespace qing::serve
