// The texts of a training job, from its files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/problem.h>

namespace qing::serve {

/// The least number of texts of which a part is held out for validation when the job has no validation file.
inline constexpr size_t kLeastToHold = 200;

struct JobTexts {
  std::vector<std::string> labels;
  std::vector<nn::Example> train, held;
};

/// Reads the files that the task names. The labels are those of `reading`. If it has none, they are those of the model
/// to begin with, if it has all that the training file holds, so that its head is kept, and else those of the training
/// file. Ordered labels are in the order of their numbers. Without a validation file a tenth of the texts validates,
/// chosen by their hash, as `qing train` does. TaskError for a file that is not fit to train on; IoError.
JobTexts read_texts(const boost::json::object& task, const nn::DatasetOptions& reading,
                    const std::vector<std::string>& base_labels);

/// Writes the examples as JSON lines, from which `qing train` reads the same ones with these labels. IoError.
void write_examples(const std::filesystem::path& file, const std::vector<nn::Example>& examples,
                    const std::vector<std::string>& labels, nn::Problem problem);

}  // namespace qing::serve
