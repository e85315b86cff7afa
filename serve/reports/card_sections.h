// The parts that the cards of all trainings have in common. Text is Markdown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <qing/optim/training/training_run.h>
#include <qing/serve/runs/run_record.h>

namespace qing::serve::cli {

/// Escapes the characters of a label or a path that have a meaning in Markdown.
std::string plain(const std::string& text);
/// A share in percent, without the sign.
std::string percent(double value);

/// The header for model hubs, the mark of a card that qing wrote, and the title: the folder's name.
std::string card_head(const std::filesystem::path& model, const std::string& command, const char* library,
                      const char* task);
std::string section(const char* title, const std::string& text);
/// A table of the data files with their texts, the texts of each label and digests.
std::string data_section(const RunRecord& record);
/// `kept` is a sentence that says which step's model was kept.
std::string training_section(const RunRecord& record, const optim::TrainResult& result, const std::string& kept);
/// The command that trains the model again.
std::string reproduce_section(const RunRecord& record);

/// What the folder that training began from is called; empty for random weights.
std::string starting_point(const RunRecord& record);

/// The sum of the elements of the weights in the folder. IoError, DataError.
int64_t count_parameters(const std::filesystem::path& model);

/// Writes the card as README.md, or as MODEL_CARD.md if there is a README.md that qing did not write. IoError.
void write_card(const std::filesystem::path& model, const std::string& card);

}  // namespace qing::serve::cli
