#include <qing/nn/unique_keys.h>

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>

#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;

TEST(ParseFileJson, RefusesADuplicateNameInOneObject) {
  const auto message = [](const char* text) { return message_of<DataError>([&] { parse_file_json(text); }); };
  EXPECT_NE(message(R"({"a":1,"a":2})").find("'a' appears twice"), std::string::npos);
  EXPECT_NE(message(R"([0,{"x":{"b\"":1,"b\"":{"c":2}}}])").find("'b\"' appears twice"), std::string::npos);
  EXPECT_NE(message("{\"a\":1,\"\\u0061\":2}").find("'a' appears twice"), std::string::npos);
  EXPECT_NE(message("{\"a\":").find("is not JSON"), std::string::npos);
  EXPECT_NE(message("").find("is not JSON"), std::string::npos);
}

TEST(ParseFileJson, AcceptsColonsInStringsAndOneNameInSeveralObjects) {
  const char* text = R"([{"a":":\\\":","b":{"a":"x:y"}},{"a":{}}])";
  EXPECT_EQ(parse_file_json(text), boost::json::parse(text));
}

TEST(ParseFileJson, SkipsAByteOrderMarkInFrontOnly) {
  EXPECT_EQ(parse_file_json("\xEF\xBB\xBF{\"a\":1}"), boost::json::parse(R"({"a":1})"));
  EXPECT_THROW(parse_file_json("{\xEF\xBB\xBF}"), DataError);
}

}  // namespace
}  // namespace qing::nn
