// The model card of a tagger that `qing train --task tagging` trained.
#pragma once

#include <filesystem>
#include <string>

#include <qing/serve/tasks/task_training.h>

namespace qing::serve::tagging {

/// The card of the model in a folder, as Markdown. IoError, DataError.
std::string tagger_card(const std::filesystem::path& model, const TaskFacts& facts);

}  // namespace qing::serve::tagging
