// Running a classifier over labelled texts and telling how well it does.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/metrics.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/text/dataset.h>

namespace qing::serve::cli {

struct Evaluation {
  std::vector<std::string> labels;
  nn::ConfusionMatrix all;
  std::map<std::string, nn::ConfusionMatrix> per_source;
};

/// All files, one after the other; an example without a source has its file's name. IoError, DataError.
std::vector<nn::Example> read_examples(std::span<const std::filesystem::path> files,
                                       const nn::DatasetOptions& options = {});

/// Predictions in order, computed in batches. A text that is refused is named by `where(index)` in the DataError.
std::vector<nn::Prediction> predict_all(const nn::TextClassifier& model, std::span<const std::string> texts,
                                        const std::function<std::string(size_t)>& where);

Evaluation evaluate(const nn::TextClassifier& model, std::span<const nn::Example> examples);

/// Tables to read: accuracy and means, a row a label, the confusion matrix, a row a source.
std::string to_text(const Evaluation& evaluation);
/// {"accuracy", "macro_recall", "macro_f1", "examples", "per_label", "confusion", "per_source"}
std::string to_json(const Evaluation& evaluation);

}  // namespace qing::serve::cli
