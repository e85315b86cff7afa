#include <qing/serve/common/json_writer.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>

#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

std::string sample(JsonWriter::Style style) {
  JsonWriter json(style);
  json.begin_object().member("a", 1).key("b").begin_array().value("x").value(true).begin_object().end().end();
  json.member("c", std::vector<float>{0.5F, 0.1F}).key("d").raw("null").key("e").begin_array().end().end();
  return json.take();
}

TEST(JsonWriter, HasTwoStyles) {
  EXPECT_EQ(sample(JsonWriter::Style::kCompact), R"({"a":1,"b":["x",true,{}],"c":[0.5,0.1],"d":null,"e":[]})");
  EXPECT_EQ(sample(JsonWriter::Style::kSpaced),
            R"({"a": 1, "b": ["x", true, {}], "c": [0.5, 0.1], "d": null, "e": []})");
}

TEST(JsonWriter, WritesWholeNumbersToTheirLimits) {
  JsonWriter json;
  json.begin_array().value(std::numeric_limits<std::int64_t>::min()).value(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(json.end().take(), "[-9223372036854775808,18446744073709551615]");
}

TEST(JsonWriter, WritesTheShortestNumberOfItsType) {
  JsonWriter json;
  json.begin_array().value(0.1F).value(0.1).value(1.0F / 3).value(1.0 / 3).value(1.0F).value(1e-5F);
  EXPECT_EQ(json.end().take(), "[0.1,0.1,0.33333334,0.3333333333333333,1,1e-05]");
  json.begin_array().value(std::nanf("")).value(HUGE_VAL).value(-HUGE_VALF);
  EXPECT_EQ(json.end().take(), "[null,null,null]");
}

TEST(JsonWriter, RefusesAnUnfinishedDocument) {
  JsonWriter json;
  json.begin_object().key("a").begin_array();
  EXPECT_THROW(json.take(), ValueError);
  json.end().end();
  EXPECT_EQ(json.take(), R"({"a":[]})");
  EXPECT_THROW(json.end(), ValueError);
}

TEST(JsonWriter, EscapesLongTextsWithQuotesAnywhere) {
  const std::string text = std::string(255, 'a') + "\"\\\n\x01" + std::string(300, 'b') + "情";
  JsonWriter json;
  json.value(text);
  const std::string written = json.take();
  EXPECT_EQ(written, "\"" + std::string(255, 'a') + "\\\"\\\\\\n\\u0001" + std::string(300, 'b') + "情\"");
}

RC_GTEST_PROP(JsonWriter, WritesWhatBoostReads, (const std::vector<std::string>& bytes, double number)) {
  // Printable and control characters of ASCII: any bytes need not be UTF-8.
  std::vector<std::string> texts = bytes;
  for (std::string& text : texts) {
    for (char& c : text) c = static_cast<char>(c & 0x7f);
  }
  JsonWriter json;
  json.value(texts);
  const boost::json::value value = boost::json::parse(json.take());
  const boost::json::array& read = value.as_array();
  RC_ASSERT(read.size() == texts.size());
  for (size_t i = 0; i < texts.size(); ++i) RC_ASSERT(read[i].as_string() == texts[i]);
  // Boost.JSON 1.81 itself reads some numbers, such as 0.99705, as the double beside the nearest one.
  if (std::isfinite(number)) { RC_ASSERT(std::stod(json.value(number).take()) == number); }
}

}  // namespace
}  // namespace qing::serve
