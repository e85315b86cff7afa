// Trains a text classifier on a few sentences and predicts the labels of others. Usage: 02_train_classifier FOLDER
#include <cstdio>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/tensor/errors.h>

int main(int argc, char** argv) try {
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

  // So small an encoder and so few texts need the help of n-grams, which get a linear model beside the encoder.
  const optim::TrainOptions options{
      .layers = 1, .width = 32, .batch = 8, .vocab = 200, .epochs = 40, .lr = 3e-3, .ngram_min_texts = 2};
  const optim::TrainResult result = optim::train_classifier(examples, options, argv[1]);
  std::printf("trained %lld steps, loss %.3f\n", static_cast<long long>(result.steps), result.loss);

  // A model that gets its own training texts wrong has not learned them: give it more steps or a larger learning rate.
  const auto model = nn::TextClassifier::load(argv[1]);
  std::vector<std::string> trained;
  for (const nn::Example& example : examples) trained.push_back(example.text);
  const auto answers = model->predict(trained);
  size_t right = 0;
  for (size_t i = 0; i < examples.size(); ++i) right += answers[i].label == examples[i].label;
  std::printf("right on %zu of the %zu training texts\n", right, examples.size());

  const std::vector<std::string> texts = {"I love this song", "what a terrible car", "on the table is a book"};
  const auto predictions = model->predict(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    std::printf("%-24s %s\n", texts[i].c_str(), model->labels()[predictions[i].label].c_str());
  }
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
