// A table of what a model is made of.
#pragma once

#include <string>

#include <qing/nn/module.h>

namespace qing::nn {

/// One line a module, indented by depth: its name and class, its own parameters and buffers with their shapes, their
/// count of elements; then totals (tied parameters count once). Ends with a line break.
std::string summary(Module& module);

}  // namespace qing::nn
