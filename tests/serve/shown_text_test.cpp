#include <qing/serve/common/shown_text.h>

#include <gtest/gtest.h>

namespace qing::serve {
namespace {

TEST(WithoutPlace, LeavesNoPlaceOfTheServerInAText) {
  EXPECT_EQ(without_place("/a/b/x.csv: is empty", "/a/b/x.csv"), "is empty");
  EXPECT_EQ(without_place("/a/b/m/config.json: cannot open", "/a/b"), "m/config.json: cannot open");
  EXPECT_EQ(without_place("/a/b/m/config.json: cannot open", "/a/b/"), "m/config.json: cannot open");
  EXPECT_EQ(without_place("read('s/files/x') first", "s/files/x"), "read('FILE') first");
  EXPECT_EQ(without_place("/a/b and /a/b", "/a/b"), "FILE and FILE");
}

TEST(WithoutPlace, LeavesWordsAloneThatHaveTheLettersOfAShortPlace) {
  EXPECT_EQ(without_place("s/config.json: is no JSON", "s"), "config.json: is no JSON");
  EXPECT_EQ(without_place("./config.json: is no JSON.", "."), "config.json: is no JSON.");
  EXPECT_EQ(without_place("a text", ""), "a text");
}

}  // namespace
}  // namespace qing::serve
