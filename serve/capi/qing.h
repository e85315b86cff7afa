/* The C interface of qing: loads a model directory and predicts labels of texts. Written in C11; any language with a
   foreign-function interface can call it.

   Stability: within one QING_ABI_VERSION functions are added, and none changes or goes. Handles are opaque.
   Threads: any number of threads may use one model or one set of predictions at the same time. Nobody may use a handle
   while it is freed. Results do not depend on what else is in a batch, nor on the number of threads.
   Errors: a function that can fail returns a qing_status; no C++ exception leaves the library. */
#ifndef QING_H
#define QING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QING_ABI_VERSION 1

typedef struct qing_model qing_model;
typedef struct qing_predictions qing_predictions;

typedef enum qing_status {
  QING_OK = 0,
  QING_INVALID_ARGUMENT = 1, /* a null pointer, an unknown precision */
  QING_IO_ERROR = 2,         /* a file that cannot be read */
  QING_DATA_ERROR = 3,       /* a file or text that is malformed */
  QING_NO_MEMORY = 4,
  QING_INTERNAL_ERROR = 5
} qing_status;

/* The precision of matrix products. The last two are faster, and scores differ in the third digit. */
typedef enum qing_precision { QING_F32 = 0, QING_BF16 = 1, QING_INT8 = 2 } qing_precision;

/* What a model predicts. More kinds may be added. */
typedef enum qing_problem {
  QING_SINGLE_LABEL = 0, /* one of the labels */
  QING_MULTI_LABEL = 1,  /* any number of the labels, or none */
  QING_ORDINAL = 2,      /* one of the labels, which have an order, and a value on their scale */
  QING_REGRESSION = 3    /* a number; there is one label, its name */
} qing_problem;

/* "0.1.0". Never freed. */
const char* qing_version(void);
/* QING_ABI_VERSION of the library at run time; compare it with the header's. */
int32_t qing_abi_version(void);
/* What the last failed call of this thread says, "" before the first. Valid until the thread's next failure. */
const char* qing_last_error(void);

/* Reads a model directory, a UTF-8 path. On success *model is a handle for qing_free_model, else NULL. */
qing_status qing_load(const char* directory, qing_precision precision, qing_model** model);
/* NULL is ignored. Predictions outlive their model. */
void qing_free_model(qing_model* model);
/* Labels are numbered from 0. An index out of range gives NULL. The string lives as long as the model. */
size_t qing_label_count(const qing_model* model);
const char* qing_label(const qing_model* model, size_t label);
/* A qing_problem; -1 for NULL. */
int32_t qing_model_problem(const qing_model* model);
/* Of a multi-label model: the score from which the label is predicted. Another model or index gives NaN. */
double qing_threshold(const qing_model* model, size_t label);

/* Predicts `count` texts in one batch. texts[i] is UTF-8 of lengths[i] bytes and may hold NUL; with lengths NULL each
   text ends at its NUL. On success *predictions is a handle for qing_free_predictions, else NULL. */
qing_status qing_predict(const qing_model* model, const char* const* texts, const size_t* lengths, size_t count,
                         qing_predictions** predictions);
/* NULL is ignored. */
void qing_free_predictions(qing_predictions* predictions);
size_t qing_prediction_count(const qing_predictions* predictions);
/* The label of text number `text`, from 0: the one with the greatest score. An index out of range gives -1 or NULL. */
int32_t qing_predicted_label(const qing_predictions* predictions, size_t text);
/* Whether the label is predicted, 1 or 0: of a multi-label model any number of labels is, of a single-label or ordinal
   one qing_predicted_label alone, of a regression none. An index out of range gives -1. */
int32_t qing_has_label(const qing_predictions* predictions, size_t text, size_t label);
/* Of ordinal labels the expected place on their scale, of a regression its number. Another model or an index out of
   range gives NaN. */
double qing_value(const qing_predictions* predictions, size_t text);
/* qing_label_count floats: the scores, and the logits. They live as long as the predictions. Scores are probabilities.
   They sum to 1, but each of a multi-label model is of its label alone. The one score of a regression is its number. */
const float* qing_scores(const qing_predictions* predictions, size_t text);
const float* qing_logits(const qing_predictions* predictions, size_t text);
/* 1 if the encoder did not read the text to its end, else 0. */
int32_t qing_is_truncated(const qing_predictions* predictions, size_t text);

#ifdef __cplusplus
}
#endif

#endif
