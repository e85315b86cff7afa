// A table of a model's modules and parameters.
#pragma once

#include <string>

#include <qing/nn/module.h>

namespace qing::nn {

/// One line per module, indented by depth: its name and class, its own parameters and buffers with their shapes, and
/// their number of elements. Totals follow (tied parameters count once). Ends with a line break.
std::string summary(Module& module);

}  // namespace qing::nn
