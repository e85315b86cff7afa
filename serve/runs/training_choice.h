// How long and how fast a training should go that says nothing of it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qing::serve {

struct TrainingChoice {
  std::int64_t epochs, batch;  ///< passes over the texts, texts
  double lr;
};

/// By the number of texts to train on and the width of the model to begin with, 0 without one. Small sets need more
/// passes, and small batches, to make enough steps. Wider encoders are trained with lower rates.
TrainingChoice training_choice(std::int64_t base_width, size_t texts);

}  // namespace qing::serve
