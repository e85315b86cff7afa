#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <type_traits>

#include <qing/optim/classifier/train_options.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

// Returns the message of the range check, empty if it passes.
std::string refusal(const TrainOptions& options) {
  try {
    check_option_ranges(options);
  } catch (const ValueError& error) { return error.what(); }
  return "";
}

TEST(TrainOptionTable, HasEveryMember) {
  const TrainOptions options;
  // Derived from --extra, --unlabelled and --teacher, not options of their own.
  size_t bytes = sizeof(TrainOptions::extra_groups) + sizeof(TrainOptions::unlabelled_groups) +
                 sizeof(TrainOptions::teacher_groups);
  std::set<const void*> seen;
  for (const TrainOption& row : train_option_table()) {
    std::visit(
        [&](auto member) {
          if (seen.insert(&(options.*member)).second) bytes += sizeof(options.*member);
        },
        row.member);
  }
  EXPECT_LE(bytes, sizeof(TrainOptions)) << "a member has two rows";
  EXPECT_LT(sizeof(TrainOptions) - bytes, alignof(TrainOptions)) << "a member has no row";
}

TEST(TrainOptionTable, NamesAreUniqueAndHelpIsWritten) {
  std::set<std::string> names;
  for (const TrainOption& row : train_option_table()) {
    names.insert(row.option_name());
    EXPECT_EQ(row.option_name().find('_'), std::string::npos);
    const std::string help = row.help;
    ASSERT_FALSE(help.empty()) << row.name;
    EXPECT_NE(help.back(), '.') << row.name;
  }
  EXPECT_EQ(names.count("ngrams"), 1u);
  EXPECT_EQ(names.count("max-length"), 1u);
}

TEST(TrainOptionTable, EachRecipeHasANameAndAMemberOnce) {
  const TrainOptions options;
  for (const OptionUse recipe : {OptionUse::classification, OptionUse::pretraining, OptionUse::translation,
                                 OptionUse::image, OptionUse::tagging}) {
    std::set<std::string> names;
    std::set<const void*> members;
    for (const TrainOption& row : train_option_table()) {
      if (!row.is_for(recipe)) continue;
      EXPECT_TRUE(names.insert(row.option_name()).second) << row.option_name();
      std::visit([&](auto member) { EXPECT_TRUE(members.insert(&(options.*member)).second) << row.name; }, row.member);
    }
    EXPECT_EQ(names.count("batch") + names.count("batch-tokens"), 1u);
  }
}

TEST(TrainOptionTable, DefaultsAreInRange) { EXPECT_EQ(refusal({}), ""); }

TEST(TrainOptionTable, EveryRangeIsChecked) {
  const TrainOptions defaults;
  for (const TrainOption& row : train_option_table()) {
    const auto expect_refused = [&](auto member, auto value) {
      TrainOptions options;
      options.*member = value;
      const std::string start = std::string("train_classifier: ") + row.name + " is ";
      EXPECT_EQ(refusal(options).rfind(start, 0), 0u) << row.name << " " << value << ": " << refusal(options);
      EXPECT_NE(refusal(options).find("it must be " + row.range.text()), std::string::npos) << refusal(options);
    };
    const auto expect_accepted = [&](auto member, auto value) {
      TrainOptions options;
      options.*member = value;
      EXPECT_EQ(refusal(options), "");
    };
    const auto check = [&](auto member) {
      using T = std::decay_t<decltype(defaults.*member)>;
      const OptionRange& range = row.range;
      if constexpr (std::is_same_v<T, int64_t>) {
        const auto low = static_cast<int64_t>(range.low), high = static_cast<int64_t>(range.high);
        expect_accepted(member, low);
        expect_accepted(member, high);
        expect_refused(member, low - 1);
        expect_refused(member, high + 1);
      } else if constexpr (std::is_same_v<T, double>) {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        expect_accepted(member, std::nextafter(range.low, infinity));
        expect_accepted(member, std::nextafter(range.high, -infinity));
        expect_refused(member, std::nextafter(range.low, -infinity));
        for (const double value : {infinity, -infinity, std::nan("")}) expect_refused(member, value);
        range.without_low ? expect_refused(member, range.low) : expect_accepted(member, range.low);
        range.without_high ? expect_refused(member, range.high) : expect_accepted(member, range.high);
      }
    };
    std::visit(check, row.member);
  }
}

// The ranges themselves, which the test above takes from the table.
TEST(TrainOptionTable, ValuesWithoutMeaningAreRefused) {
  for (const TrainOptions& options : {
           TrainOptions{.layers = 0},
           TrainOptions{.width = 0},
           TrainOptions{.heads = -1},
           TrainOptions{.batch = 0},
           TrainOptions{.vocab = 5},
           TrainOptions{.epochs = 0},
           TrainOptions{.max_length = 2},
           TrainOptions{.max_steps = -1},
           TrainOptions{.lr = 0},
           TrainOptions{.dropout = 1},
           TrainOptions{.warmup = 1.5},
           TrainOptions{.weight_decay = -0.1},
           TrainOptions{.clip = 0},
           TrainOptions{.word_dropout = 1},
           TrainOptions{.balance = -1},
           TrainOptions{.label_smoothing = 1},
           TrainOptions{.consistency = -1},
           TrainOptions{.teacher_share = 1.5},
           TrainOptions{.ema = 1},
           TrainOptions{.ngram_min_texts = -1},
           TrainOptions{.extra_share = -0.1},
           TrainOptions{.ngram_dropout = 1},
           TrainOptions{.ngram_lr = -0.1},
           TrainOptions{.ngram_weight_decay = -1},
       }) {
    EXPECT_THROW(check_option_ranges(options), ValueError);
  }
}

TEST(TrainOptionTable, RangesReadAsTheyAreWritten) {
  EXPECT_EQ((OptionRange{1, 1 << 24}.text()), "in [1, 16777216]");
  EXPECT_EQ((OptionRange{0, 1, false, true}.text()), "in [0, 1)");
  EXPECT_EQ((OptionRange{0, std::numeric_limits<double>::infinity(), true, true}.text()), "finite and above 0");
}

}  // namespace
}  // namespace qing::optim
