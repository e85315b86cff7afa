// The card of a translation model.
#pragma once

#include <filesystem>
#include <string>

#include <qing/serve/tasks/task_training.h>
#include <qing/serve/tasks/translation/translation_arguments.h>

namespace qing::serve::translation {

/// Markdown. IoError, DataError for a folder that is no translation model.
std::string translation_card(const std::filesystem::path& model, const TaskFacts& facts,
                             const TranslationArguments& arguments);

}  // namespace qing::serve::translation
