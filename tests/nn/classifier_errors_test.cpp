// Which text's error a classifier throws for a batch.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include <qing/nn/models/text_classifier.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

// Its texts say which error they are.
class Refusing : public TextClassifier {
 public:
  EncodedText encode(std::string_view text) const override {
    const std::string name(text.substr(0, text.find(' ')));
    if (name == "data") throw DataError("not a text");
    if (name == "value") throw ValueError("not a value");
    if (name == "runtime") throw std::runtime_error("of the library");
    return EncodedText{{.ids = {1}, .offsets = {}}};
  }
  std::vector<Prediction> predict_encoded(std::span<const EncodedText> encodings) const override {
    return std::vector<Prediction>(encodings.size());
  }
  int32_t max_length() const override { return 8; }
  const std::vector<std::string>& labels() const override { return labels_; }

 private:
  std::vector<std::string> labels_ = {"a", "b"};
};

// Long enough for a thread each.
std::vector<std::string> texts_of(const std::vector<std::string>& names) {
  std::vector<std::string> texts;
  for (const std::string& name : names) texts.push_back(name + std::string(2000, ' '));
  return texts;
}

TEST(ClassifierErrors, AreThoseOfTheFirstTextForAnyNumberOfThreads) {
  const Refusing classifier;
  const int before = num_threads();
  for (const int threads : {1, 2, 4}) {
    set_num_threads(threads);
    const auto message = [&]<class Error>(Error*, const std::vector<std::string>& names) {
      return test::message_of<Error>([&] { classifier.predict(texts_of(names)); });
    };
    for (int repeat = 0; repeat < 20; ++repeat) {
      ASSERT_EQ(message(static_cast<DataError*>(nullptr), {"good", "data", "value", "runtime"}), "text 1: not a text")
          << threads;
      ASSERT_EQ(message(static_cast<ValueError*>(nullptr), {"good", "value", "data", "runtime"}), "not a value")
          << threads;
      ASSERT_EQ(message(static_cast<std::runtime_error*>(nullptr), {"good", "runtime", "value", "data"}),
                "of the library")
          << threads;
    }
    EXPECT_EQ(classifier.predict(texts_of({"good", "good", "good"})).size(), 3U);
  }
  set_num_threads(before);
}

}  // namespace
}  // namespace qing::nn
