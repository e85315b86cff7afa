// Folders of models for tests, without models.
#pragma once

#include <cmath>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "serve/serve_fixture.h"

namespace qing::serve {

class NotANumber : public FakeClassifier {
 public:
  std::vector<nn::Prediction> predict_encoded(std::span<const nn::EncodedText> encodings) const override {
    return std::vector<nn::Prediction>(encodings.size(), {0, std::vector<float>(3, std::nanf("")), 1, false});
  }
};

class TwiceNamed : public FakeClassifier {
 public:
  const std::vector<std::string>& labels() const override {
    static const std::vector<std::string> kLabels = {"x", "y", "x"};
    return kLabels;
  }
};

class OtherNamed : public FakeClassifier {
 public:
  const std::vector<std::string>& labels() const override {
    static const std::vector<std::string> kLabels = {"calm", "angry", "sad"};
    return kLabels;
  }
};

/// A folder "broken" makes the loader throw for good, and "unreadable" for now. "nan" loads but predicts NaN. "twice"
/// has two labels with one name, and "other" has other labels.
inline std::shared_ptr<const nn::TextClassifier> load_fake(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "broken")) throw DataError("broken weights");
  if (std::filesystem::exists(folder / "unreadable") || !std::filesystem::exists(folder)) {
    throw IoError("too many open files");
  }
  if (std::filesystem::exists(folder / "nan")) return std::make_shared<NotANumber>();
  if (std::filesystem::exists(folder / "twice")) return std::make_shared<TwiceNamed>();
  if (std::filesystem::exists(folder / "other")) return std::make_shared<OtherNamed>();
  return std::make_shared<FakeClassifier>();
}

}  // namespace qing::serve
