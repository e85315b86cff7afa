#include <qing/nn/base64.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <utility>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

TEST(Base64, HasTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"},
                                                         {"\xFB\xFF\xFE", "+//+"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encode_base64(bytes), text);
    EXPECT_EQ(decode_base64(text), bytes);
  }
}

RC_GTEST_PROP(Base64, EveryByteSurvives, (const std::string& bytes)) {
  RC_ASSERT(decode_base64(encode_base64(bytes)) == bytes);
}

TEST(Base64, RefusesOtherTexts) {
  for (const char* text : {"Zg=", "Zg", "Z*==", "=Zg=", "Zg==Zg==", "Z===", "====", "Zm 9"}) {
    EXPECT_THROW(decode_base64(text), DataError) << text;
  }
}

}  // namespace
}  // namespace qing::nn
