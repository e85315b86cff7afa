#include <qing/serve/common/json_text.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace qing::serve {

std::string json_quoted(std::string_view text) { return boost::json::serialize(boost::json::value(text)); }

}  // namespace qing::serve
