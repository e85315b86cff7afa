// The options of a training that its request leaves to the service.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include <qing/nn/problem.h>

namespace qing::serve {

/// What the choices depend on of the model to begin with.
struct Base {
  std::vector<std::string> labels = {};  ///< empty: it has no classification head
  std::int64_t width = 0;                ///< 0: there is no model
  bool ngrams = false;
  nn::Problem problem = nn::Problem::single_label;
};

/// DataError, IoError.
Base look_at_base(const std::filesystem::path& folder);

struct AutoOptions {
  std::map<std::string, std::string> options;  ///< of `qing train`, by name
  boost::json::object hyperparameters;         ///< n_epochs, batch_size and learning_rate_multiplier as numbers
  std::int64_t steps = 0, steps_of_epoch = 0;
};

/// Chooses by the number of texts to train on. With `same_labels` the training keeps the head of the base. `problem` is
/// what is trained. `given` are options of the request, lists of texts by name, which stand.
/// `hyperparameters` are those of the request: numbers, or "auto".
AutoOptions auto_options(const Base& base, size_t texts, bool same_labels, nn::Problem problem,
                         const boost::json::object& given, const boost::json::object& hyperparameters);

}  // namespace qing::serve
