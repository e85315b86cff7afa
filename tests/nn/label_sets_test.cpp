#include <qing/nn/data/label_sets.h>

#include <gtest/gtest.h>

#include <qing/nn/problem.h>

namespace qing::nn {
namespace {

using Names = std::vector<std::string>;

TEST(LabelSets, FieldsAreSplit) {
  EXPECT_EQ(split_labels("a|b c| d", '|'), (Names{"a", "b c", "d"}));
  EXPECT_EQ(split_labels("a||a|", '|'), (Names{"a"}));
  EXPECT_EQ(split_labels("  ", '|'), Names{});
  EXPECT_EQ(split_labels("a,b", ';'), (Names{"a,b"}));
}

TEST(LabelSets, ListsOfJsonAndPythonAreSplit) {
  EXPECT_EQ(split_labels(R"(["a, b", "c\"d"])", '|'), (Names{"a, b", "c\"d"}));
  EXPECT_EQ(split_labels("['a', 'b']", '|'), (Names{"a", "b"}));
  EXPECT_EQ(split_labels("[1, 2]", '|'), (Names{"1", "2"}));
  EXPECT_EQ(split_labels("[]", '|'), Names{});
  EXPECT_EQ(split_labels("[a|b", '|'), (Names{"[a", "b"})) << "no list";
  EXPECT_EQ(split_labels("['a' 'b']", '|'), (Names{"['a' 'b']"})) << "no list either";
  EXPECT_TRUE(is_label_list(" [\"a\"] "));
  EXPECT_FALSE(is_label_list("a"));
}

// As the CSV of label-studio-sdk 2.1.2 has several choices (converter/exports/csv2.py). It writes one choice as its
// name alone.
TEST(LabelSets, AnswersOfLabelStudioAreSplit) {
  EXPECT_EQ(split_labels(R"({"choices":["praise","on\/off, again"]})", '|'), (Names{"praise", "on/off, again"}));
  EXPECT_EQ(split_labels(R"( { "choices" : [ "a" , "b" ] } )", '|'), (Names{"a", "b"}));
  EXPECT_EQ(split_labels(R"({"choices":[]})", '|'), Names{});
  EXPECT_EQ(split_labels(R"({"choices":"a"})", '|'), (Names{R"({"choices":"a"})"})) << "no list";
  EXPECT_EQ(split_labels(R"({"labels":["a"]})", '|'), (Names{R"({"labels":["a"]})"})) << "another control";
  EXPECT_EQ(split_labels(R"({"choices":["a"],"start":0})", '|').size(), 1U) << "no whole answer";
  EXPECT_TRUE(is_label_list(R"({"choices":["a","b"]})"));
  EXPECT_EQ(looks_like_label_sets({{"a", 5}, {"b", 5}, {R"({"choices":["a","b"]})", 2}}), R"({"choices":["a","b"]})");
}

TEST(LabelSets, AreToldFromSingleLabels) {
  EXPECT_EQ(looks_like_label_sets({{"a", 5}, {"b", 5}, {"a;b", 2}}), "a;b");
  EXPECT_FALSE(looks_like_label_sets({{"a", 5}, {"b", 5}}));
  EXPECT_EQ(looks_like_label_sets({{"", 2}, {"praise", 5}, {"toxic", 5}, {"toxic|threat", 2}}), "toxic|threat")
      << "one combination is enough";
  EXPECT_FALSE(looks_like_label_sets({{"Paris, Texas", 5}, {"Paris", 5}})) << "a comma stands within names, too";
  EXPECT_FALSE(looks_like_label_sets({{"drama, crime", 5}, {"comedy", 5}})) << "not fewer names than fields";
}

TEST(Problem, NumbersAndPlaces) {
  EXPECT_EQ(number_of("+3.5"), 3.5);
  EXPECT_EQ(number_of("-1e2"), -100);
  for (const char* text : {"", "3 ", "+-1", "inf", "nan", "three"}) EXPECT_FALSE(number_of(text)) << text;
  EXPECT_EQ(places_of(Names{"0.5", "2", "10"}), (std::vector<double>{0.5, 2, 10}));
  EXPECT_EQ(places_of(Names{"bad", "good"}), (std::vector<double>{1, 2}));
}

}  // namespace
}  // namespace qing::nn
