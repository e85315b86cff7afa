// `qing train --token-cache`: training texts that stay on the disk.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/parallel/communicator.h>
#include <qing/serve/cli/classifier_run.h>
#include <qing/serve/runs/token_cache.h>

namespace qing::serve::cli {

/// The texts of --data by the cache, which rank 0 fills while the others wait. The arguments get the labels, and the
/// share that is held out. `choose` puts the labels of the data into the arguments, where none are given. ValueError
/// for options that need all texts in memory; UsageError for --tune; errors of cached_texts().
CachedTexts streamed_data(TrainArguments& arguments, const nn::DatasetOptions& reading, optim::Communicator* ranks,
                          const std::function<void()>& choose);

/// Proposes --token-cache on stderr for data that take more than half of the machine's memory.
void advise_token_cache(const TrainArguments& arguments);

}  // namespace qing::serve::cli
