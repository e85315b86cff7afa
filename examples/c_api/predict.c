/* Labels of the texts on the command line: predict MODEL_DIRECTORY TEXT... */
#include <qing.h>
#include <stdio.h>

int main(int argc, char** argv) {
  if (argc < 3) return fprintf(stderr, "usage: %s MODEL_DIRECTORY TEXT...\n", argv[0]), 2;
  qing_model* model;
  if (qing_load(argv[1], QING_F32, &model) != QING_OK) {
    return fprintf(stderr, "%s\n", qing_last_error()), 1;
  }
  const size_t count = (size_t)argc - 2;
  qing_predictions* predictions;
  if (qing_predict(model, (const char* const*)argv + 2, NULL, count, &predictions) != QING_OK) {
    fprintf(stderr, "%s\n", qing_last_error());
    qing_free_model(model);
    return 1;
  }
  for (size_t i = 0; i < count; ++i) {
    const size_t label = (size_t)qing_predicted_label(predictions, i);
    printf("%s\t%.4f\t%s\n", qing_label(model, label), qing_scores(predictions, i)[label], argv[i + 2]);
  }
  qing_free_predictions(predictions);
  qing_free_model(model);
  return 0;
}
