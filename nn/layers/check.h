// Checks of layers' arguments. Private to nn/.
#pragma once

#include <cstdint>

#include <qing/tensor/random.h>

namespace qing::nn {

/// ValueError "layer: argument is value; ..." unless value ≥ least.
void check_at_least(const char* layer, const char* argument, int64_t value, int64_t least);
/// ValueError naming the layer unless 0 ≤ p < 1.
void check_probability(const char* layer, double p);
/// ValueError with the layer when dropout is active and there is no generator.
void check_generator(const char* layer, const Generator* rng);

}  // namespace qing::nn
