// Trains a saved classifier further on a table of texts and labels, in three lines. Usage: 07_finetune MODEL TABLE.tsv
// OUT
#include <qing/qing.h>

#include <cstdio>

int main(int argc, char** argv) try {
  using namespace qing;
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s MODEL TABLE.tsv OUT    (TABLE has the columns text and label)\n", argv[0]);
    return 2;
  }
  const auto labels = nn::TextClassifier::load(argv[1])->labels();
  const auto examples = nn::read_dataset(argv[2], {.labels = labels});
  const optim::TrainResult result = optim::finetune(argv[1], examples, argv[3]);
  std::printf("trained %lld steps on %zu texts, loss %.3f\n", static_cast<long long>(result.steps), examples.size(),
              result.loss);
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
