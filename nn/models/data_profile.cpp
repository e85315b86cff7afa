#include <qing/nn/models/data_profile.h>

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include <qing/nn/models/prediction.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

void check_labels(const char* what, const DataProfile& a, const DataProfile& b) {
  if (a.labels.size() == b.labels.size()) return;
  throw ShapeError(fmt::format("{}: a profile of {} labels and one of {}; both must be of one model", what,
                               a.labels.size(), b.labels.size()));
}

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

int64_t DataProfile::texts() const { return std::accumulate(labels.begin(), labels.end(), int64_t{0}); }

double DataProfile::unknown_share() const { return share(unknown_tokens, tokens); }

double DataProfile::label_share(size_t label) const { return share(labels.at(label), texts()); }

void DataProfile::add(std::span<const Prediction> predictions) {
  for (const Prediction& prediction : predictions) {
    if (prediction.label < 0 || static_cast<size_t>(prediction.label) >= labels.size()) {
      throw ShapeError(fmt::format("DataProfile::add: label {} for {} labels", prediction.label, labels.size()));
    }
    ++labels[static_cast<size_t>(prediction.label)];
    tokens += prediction.tokens;
    unknown_tokens += prediction.unknown;
  }
}

DataProfile& DataProfile::operator+=(const DataProfile& other) {
  check_labels("DataProfile", *this, other);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] += other.labels[i];
  tokens += other.tokens;
  unknown_tokens += other.unknown_tokens;
  return *this;
}

double population_stability_index(const DataProfile& expected, const DataProfile& found) {
  check_labels("population_stability_index", expected, found);
  const auto classes = static_cast<double>(expected.labels.size());
  const auto smoothed = [classes](const DataProfile& profile, size_t label) {
    return (static_cast<double>(profile.labels[label]) + 0.5) / (static_cast<double>(profile.texts()) + 0.5 * classes);
  };
  double sum = 0;
  for (size_t i = 0; i < expected.labels.size(); ++i) {
    const double p = smoothed(found, i), q = smoothed(expected, i);
    sum += (p - q) * std::log(p / q);
  }
  return sum;
}

}  // namespace qing::nn
