// Trains a text classifier on a few sentences and predicts the labels of others. Usage: 02_train_classifier FOLDER
#include <cstdio>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/optim/classifier/train_classifier.h>

int main(int argc, char** argv) {
  using namespace qing;
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER    (the model will be written there)\n", argv[0]);
    return 2;
  }

  // label 0 is negative, 1 neutral, 2 positive
  const std::vector<std::pair<const char*, int>> patterns = {{"I love this ", 2},       {"what a wonderful ", 2},
                                                             {"I hate this ", 0},       {"what a terrible ", 0},
                                                             {"on the table is a ", 1}, {"this is a red ", 1}};
  std::vector<nn::Example> examples;
  for (const char* thing : {"film", "book", "phone", "lamp", "chair", "song", "car", "meal"}) {
    for (const auto& [words, label] : patterns) examples.push_back({std::string(words) + thing, label, ""});
  }

  const optim::TrainOptions options{.layers = 1, .width = 32, .batch = 8, .vocab = 200, .epochs = 40, .lr = 3e-3};
  const optim::TrainResult result = optim::train_classifier(examples, options, argv[1]);
  std::printf("trained %lld steps at %.0f tokens/s, loss %.3f\n", static_cast<long long>(result.steps),
              result.tokens_per_second, result.loss);

  const auto model = nn::TextClassifier::load(argv[1]);
  const std::vector<std::string> texts = {"I love this song", "what a terrible car", "on the table is a book"};
  const auto predictions = model->predict(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    std::printf("%-24s %s\n", texts[i].c_str(), model->labels()[predictions[i].label].c_str());
  }
}
