// The search for settings: it finds the best one, keeps to its budget, and prefers the first of equal ones.
#include <gtest/gtest.h>

#include <map>

#include <qing/serve/jobs/setting_search.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

TEST(SettingSearch, FindsTheBestWithinItsSteps) {
  for (size_t settings = 2; settings <= kSearchSettings.size(); ++settings) {
    for (size_t best = 0; best < settings; ++best) {
      std::int64_t spent = 0;
      std::map<size_t, std::int64_t> longest;
      const size_t found = successive_halving(settings, 1000, [&](size_t setting, std::int64_t steps) {
        spent += steps;
        EXPECT_GE(steps, longest[setting]) << "a later round trains longer";
        longest[setting] = steps;
        return setting == best ? 1.0 : 0.5;
      });
      EXPECT_EQ(found, best) << "of " << settings;
      EXPECT_LE(spent, 1000);
      EXPECT_GT(spent, 900 - 100) << "most of the budget is used";
    }
  }
}

TEST(SettingSearch, TheFirstOfEqualOnesStays) {
  EXPECT_EQ(successive_halving(8, 10,
                               [](size_t, std::int64_t steps) {
                                 EXPECT_EQ(steps, 1);
                                 return 0.0;
                               }),
            0U);
}

TEST(SettingSearch, OneSettingIsNoSearch) {
  EXPECT_THROW(successive_halving(1, 10, [](size_t, std::int64_t) { return 0.0; }), ValueError);
}

}  // namespace
}  // namespace qing::serve
