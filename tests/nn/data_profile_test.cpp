#include <gtest/gtest.h>

#include <cmath>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

Prediction prediction(int32_t label, int32_t tokens, int32_t unknown) {
  return {.label = label, .scores = {}, .tokens = tokens, .truncated = false, .unknown = unknown};
}

TEST(DataProfile, CountsPredictions) {
  DataProfile profile{.labels = {0, 0, 0}};
  EXPECT_EQ(profile.texts(), 0);
  EXPECT_EQ(profile.unknown_share(), 0);
  EXPECT_EQ(profile.label_share(1), 0);
  profile.add(std::vector{prediction(2, 10, 1), prediction(2, 20, 0), prediction(0, 10, 3)});
  EXPECT_EQ(profile.labels, (std::vector<int64_t>{1, 0, 2}));
  EXPECT_DOUBLE_EQ(profile.unknown_share(), 0.1);
  EXPECT_DOUBLE_EQ(profile.label_share(2), 2.0 / 3);
  DataProfile twice = profile;
  twice += profile;
  EXPECT_EQ(twice.texts(), 6);
  EXPECT_EQ(twice.tokens, 80);
  EXPECT_EQ(twice.unknown_tokens, 8);
  EXPECT_THROW(profile.add(std::vector{prediction(3, 1, 0)}), ShapeError);
  EXPECT_THROW(profile += DataProfile{.labels = {1}}, ShapeError);
}

TEST(DataProfile, PopulationStabilityIndexIsTheFormula) {
  const DataProfile expected{.labels = {19, 29, 49}}, found{.labels = {59, 19, 19}};
  // With half a text more for each label: 19.5, 29.5, 49.5 of 98.5, and 59.5, 19.5, 19.5 of 98.5.
  const auto term = [](double p, double q) { return (p - q) / 98.5 * std::log(p / q); };
  EXPECT_NEAR(population_stability_index(expected, found), term(59.5, 19.5) + term(19.5, 29.5) + term(19.5, 49.5),
              1e-12);
  EXPECT_NEAR(population_stability_index(found, expected), population_stability_index(expected, found), 1e-12);
  EXPECT_EQ(population_stability_index(expected, expected), 0);
  const DataProfile one_label{.labels = {0, 0, 1000}};
  EXPECT_TRUE(std::isfinite(population_stability_index(one_label, DataProfile{.labels = {1000, 0, 0}})));
  EXPECT_THROW(population_stability_index(expected, DataProfile{.labels = {1, 2}}), ShapeError);
}

class Reference : public ::testing::Test {
 protected:
  std::string error_with(std::string_view reference) {
    const auto path = folder_.path() / "config.json";
    ClassifierConfig().save(path);
    std::string text = test::content_of(path);
    text.replace(text.rfind('}'), 1, ",\"reference\":" + std::string(reference) + "}");
    folder_.write("config.json", text);
    try {
      loaded_ = ClassifierConfig::load(path);
    } catch (const DataError& error) { return error.what(); }
    return "";
  }
  test::TempFolder folder_;
  ClassifierConfig loaded_;
};

TEST_F(Reference, StaysWithTheConfiguration) {
  const auto path = folder_.path() / "config.json";
  ClassifierConfig config;
  config.save(path);
  EXPECT_FALSE(ClassifierConfig::load(path).reference.has_value());
  config.reference = DataProfile{.tokens = 900, .unknown_tokens = 8, .labels = {10, 20, 30}};
  config.save(path);
  const auto read = ClassifierConfig::load(path).reference;
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->tokens, 900);
  EXPECT_EQ(read->unknown_tokens, 8);
  EXPECT_EQ(read->labels, (std::vector<int64_t>{10, 20, 30}));
}

TEST_F(Reference, IsRefusedUnlessItIsCounts) {
  EXPECT_EQ(error_with(R"({"tokens":3,"unknown_tokens":3,"labels":[1,0,0]})"), "");
  EXPECT_EQ(loaded_.reference->tokens, 3);
  for (const char* bad :
       {"[]", "7", "{}", R"({"tokens":3,"labels":[1,0,0]})", R"({"tokens":3,"unknown_tokens":1})",
        R"({"tokens":3,"unknown_tokens":1,"labels":3})", R"({"tokens":3,"unknown_tokens":1,"labels":[1,"2",0]})",
        R"({"tokens":3,"unknown_tokens":1,"labels":[1,2]})", R"({"tokens":3,"unknown_tokens":4,"labels":[1,2,3]})",
        R"({"tokens":3,"unknown_tokens":-1,"labels":[1,2,3]})",
        R"({"tokens":3,"unknown_tokens":1,"labels":[9000000000000000000,9000000000000000000,0]})"}) {
    EXPECT_NE(error_with(bad).find("reference: needs"), std::string::npos) << bad << ": " << error_with(bad);
  }
}

}  // namespace
}  // namespace qing::nn
