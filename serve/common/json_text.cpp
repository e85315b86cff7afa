#include "json_text.h"

#include <boost/json/value.hpp>

#include <qing/serve/common/json_writer.h>

namespace qing::serve {
namespace {

namespace json = boost::json;

void write(JsonWriter& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::object:
      out.begin_object();
      for (const auto& [key, member] : value.get_object()) write(out.key(key), member);
      out.end();
      break;
    case json::kind::array:
      out.begin_array();
      for (const json::value& element : value.get_array()) write(out, element);
      out.end();
      break;
    case json::kind::string: out.value(std::string_view(value.get_string())); break;
    case json::kind::double_: out.value(value.get_double()); break;
    case json::kind::int64: out.value(value.get_int64()); break;
    case json::kind::uint64: out.value(value.get_uint64()); break;
    case json::kind::bool_: out.value(value.get_bool()); break;
    case json::kind::null: out.raw("null"); break;
  }
}

}  // namespace

std::string json_text(const json::value& value) {
  JsonWriter out;
  write(out, value);
  return out.take();
}

}  // namespace qing::serve
