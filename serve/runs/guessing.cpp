#include <qing/serve/runs/guessing.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>

#include <qing/serve/runs/set_scores.h>

namespace qing::serve::cli {
namespace {

constexpr double kStandardErrors = 2;

// What guessing reaches on one dev set, and its variance.
struct Guess {
  double mean = 0, variance = 0;
};

// Of labels that are drawn evenly: each is right in one of K times, over the texts of every label.
Guess guessed_recall(const LabelledFile& set) {
  std::map<std::int32_t, double> texts;
  for (const nn::Example& example : set.examples) ++texts[example.label];
  const auto labels = static_cast<double>(texts.size());
  Guess guess{.mean = 1 / labels};
  for (const auto& [label, count] : texts) {
    guess.variance += guess.mean * (1 - guess.mean) / count / (labels * labels);
  }
  return guess;
}

// Of kappa and of a correlation, which are 0 on average.
Guess guessed_agreement(const LabelledFile& set) { return {0, 1 / static_cast<double>(set.examples.size())}; }

}  // namespace

std::string no_better_than_guessing(const Metrics& metrics, nn::Problem problem, std::span<const LabelledFile> dev) {
  const auto best = std::ranges::max_element(metrics.evaluations, {}, &EvaluationPoint::score);  // the first of equals
  if (best == metrics.evaluations.end() || dev.empty() || problem == nn::Problem::multi_label) return {};
  const bool single = problem == nn::Problem::single_label;
  const char* const noun = single                            ? "macro-recall"
                           : problem == nn::Problem::ordinal ? "quadratic weighted kappa"
                                                             : "Pearson's correlation";
  const char* const measure = problem == nn::Problem::ordinal ? "kappa" : "pearson";
  if ((single ? best->sets.size() : best->measured.size()) != dev.size()) return {};
  double value = 0;
  Guess guess;
  size_t texts = 0;
  for (size_t i = 0; i < dev.size(); ++i) {
    const Guess one = single ? guessed_recall(dev[i]) : guessed_agreement(dev[i]);
    const auto sets = static_cast<double>(dev.size());
    value += (single ? best->sets[i].macro_recall : value_of(best->measured[i], measure)) / sets;
    guess.mean += one.mean / sets;
    guess.variance += one.variance / (sets * sets);
    texts += dev[i].examples.size();
  }
  const double bound = guess.mean + kStandardErrors * std::sqrt(guess.variance);
  // So few texts do not tell a perfect model from a guess.
  if (value > bound || bound >= 1) return {};
  return fmt::format("{} {:.4f} on {} dev texts is no better than guessing ({:.4f})", noun, value, texts, guess.mean);
}

}  // namespace qing::serve::cli
