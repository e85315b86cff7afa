// The kind of problem that `qing train` trains: single labels, several labels, ordered labels or a number.
#pragma once

#include <qing/nn/data/labelled_texts.h>
#include <qing/serve/cli/classifier_run.h>

namespace qing::serve::cli {

/// Decides what the flags leave open, before the labels are chosen: the kind of problem is that of the model to begin
/// with unless a flag is given, and --best is the kind's first measure. `reading` then reads that kind of labels. The
/// settings of the run get the values. With `tells`, stderr says what was decided. UsageError for flags that exclude
/// each other and for a measure that the kind does not have.
void choose_problem(TrainArguments& arguments, nn::DatasetOptions& reading, bool tells);

/// Puts ordered labels that were learned in the order of their numbers. UsageError if they have none, and for numbers
/// that were given in another order.
void order_labels(TrainArguments& arguments, bool learned);

}  // namespace qing::serve::cli
