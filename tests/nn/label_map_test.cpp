#include <qing/nn/data/label_map.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/data/learned_labels.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::TempFolder;

const std::vector<std::string> kSentiments = {"negative", "neutral", "positive"};

LabelMap map_of(const std::vector<std::string>& rules) { return LabelMap(rules); }

TEST(LabelMap, GivesNamesTheirLabels) {
  const LabelMap map = map_of({"1, 2 = negative", "3=neutral", R"(a\,b,c\=d=odd\\one)"});
  EXPECT_EQ(map("1"), "negative");
  EXPECT_EQ(map("2"), "negative");
  EXPECT_EQ(map("3"), "neutral");
  EXPECT_EQ(map("a,b"), R"(odd\one)");
  EXPECT_EQ(map("c=d"), R"(odd\one)");
  EXPECT_EQ(map("4"), "4") << "a name without a rule stays";
  EXPECT_TRUE(LabelMap().empty());
}

TEST(LabelMap, RefusesWhatIsNoRule) {
  EXPECT_NE(message_of<ValueError>([] { map_of({"1,2"}); }).find("'1,2' has no '='"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { map_of({"1="}); }).find("no label behind"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { map_of({"1,=x"}); }).find("empty name"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { map_of({"1=a", "1=b"}); }).find("'1' is both a and b"), std::string::npos);
  EXPECT_NO_THROW(map_of({"1=a", "1=a"}));
}

TEST(LabelMap, ProposesTheLabelsOfScales) {
  EXPECT_EQ(proposed_map({"1", "2", "3", "4", "5"}, kSentiments),
            "--map 1,2=negative --map 3=neutral --map 4,5=positive");
  EXPECT_EQ(proposed_map({"1 star", "5 stars"}, kSentiments), "--map '1 star=negative' --map '5 stars=positive'");
  EXPECT_EQ(proposed_map({"1", "2"}, kSentiments), "--map 1=negative --map 2=positive");
  EXPECT_EQ(proposed_map({"0", "1"}, kSentiments), "--map 0=negative --map 1=positive");
  EXPECT_EQ(proposed_map({"-1", "0", "1"}, kSentiments), "--map -1=negative --map 0=neutral --map 1=positive");
  EXPECT_EQ(proposed_map({"0", "4"}, kSentiments), "--map 0=negative --map 4=positive");
  EXPECT_EQ(proposed_map({"LABEL_0", "LABEL_1", "LABEL_2"}, kSentiments),
            "--map LABEL_0=negative --map LABEL_1=neutral --map LABEL_2=positive");
  EXPECT_EQ(proposed_map({"1", "7"}, kSentiments), "") << "7 is on no scale";
  EXPECT_EQ(proposed_map({"1"}, kSentiments), "") << "one number is no scale";
}

TEST(LabelMap, ProposesTheLabelsOfOtherSpellings) {
  EXPECT_EQ(proposed_map({"pos", "Neg", "positive"}, kSentiments), "--map Neg=negative --map pos=positive");
  EXPECT_EQ(proposed_map({"积极", "消极"}, kSentiments), "--map 消极=negative --map 积极=positive");
  EXPECT_EQ(proposed_map({"0", "1"}, std::vector<std::string>{"neg", "pos"}), "--map 0=neg --map 1=pos");
  EXPECT_EQ(proposed_map({"SPORT", "News"}, std::vector<std::string>{"news", "sport"}),
            "--map News=news --map SPORT=sport");
  EXPECT_EQ(proposed_map({"pos", "films"}, kSentiments), "") << "films is none of the labels";
  EXPECT_EQ(proposed_map({"a,b"}, std::vector<std::string>{"A,B", "c"}), R"(--map 'a\,b=A,B')");
  // What is proposed is a rule.
  EXPECT_EQ(map_of({R"(a\,b=A,B)"})("a,b"), "A,B");
}

TEST(LearnedLabels, AreSortedAndCounted) {
  const TempFolder folder;
  const std::vector<std::filesystem::path> files = {folder.write("a.tsv", "label\ttext\npos\tx\nneg\ty\npos\tz\n"),
                                                    folder.write("b.tsv", "label\ttext\nmid\tx\n")};
  const auto counts = learn_labels(files, {});
  EXPECT_EQ(counts.at("pos"), 2);
  EXPECT_EQ(in_order(counts), (std::vector<std::string>{"mid", "neg", "pos"}));
  DatasetOptions mapped;
  mapped.map = map_of({"pos,mid=yes"});
  EXPECT_EQ(in_order(learn_labels(files, mapped)), (std::vector<std::string>{"neg", "yes"}));
  EXPECT_EQ(in_order({{"10", 1}, {"2", 1}, {"-1", 1}}), (std::vector<std::string>{"-1", "2", "10"})) << "by value";
  EXPECT_EQ(in_order({{"10", 1}, {"2", 1}, {"x", 1}}), (std::vector<std::string>{"10", "2", "x"}));
  EXPECT_EQ(in_order({{"positive", 1}, {"neutral", 1}, {"negative", 1}}), kSentiments);
}

TEST(LearnedLabels, AreNotTheTextsOfAWrongColumn) {
  const TempFolder folder;
  std::string rows = "label\ttext\n";
  for (size_t i = 0; i <= kMostLearnedLabels; ++i) rows += "name " + std::to_string(i) + "\tx\n";
  const std::vector<std::filesystem::path> files = {folder.write("a.tsv", rows)};
  const std::string message = message_of<DataError>([&] { learn_labels(files, {}); });
  EXPECT_NE(message.find("a.tsv:1002: there are more than 1000 different labels"), std::string::npos) << message;
}

TEST(LearnedLabels, ARefusedLabelNamesTheLineAndAMapThatWorks) {
  const TempFolder folder;
  const auto file = folder.write("a.tsv", "label\ttext\n1\tx\n5\ty\n3\tz\n2\tz\n");
  const std::string message = message_of<DataError>([&] { read_dataset(file); });
  EXPECT_NE(message.find("a.tsv:2: unknown label '1'; use one of negative, neutral, positive"), std::string::npos);
  EXPECT_NE(message.find("--map 1,2=negative --map 3=neutral --map 5=positive"), std::string::npos) << message;
  DatasetOptions options;
  options.map = map_of({"1,2=negative", "3=neutral", "5=positive"});
  const auto examples = read_dataset(file, options);
  ASSERT_EQ(examples.size(), 4U);
  EXPECT_EQ(examples[0].label, 0);
  EXPECT_EQ(examples[1].label, 2);
  EXPECT_EQ(examples[2].label, 1);
}

TEST(HeldByHash, FractionsOfAPercentAreNested) {
  int half = 0, one = 0, whole = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = "text " + std::to_string(i);
    const bool held = held_by_hash(text, 0.5);
    half += held ? 1 : 0;
    one += held_by_hash(text, 1) ? 1 : 0;
    whole += held_by_hash(text, 100) ? 1 : 0;
    if (held) { EXPECT_TRUE(held_by_hash(text, 1)) << text; }
  }
  EXPECT_NEAR(half, 100, 40);
  EXPECT_NEAR(one, 200, 60);
  EXPECT_EQ(whole, 20'000);
  EXPECT_THROW(held_by_hash("x", 100.5), ValueError);
}

}  // namespace
}  // namespace qing::nn
