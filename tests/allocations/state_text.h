// What a state folder holds, as a text in which random names are equal.
#pragma once

#include <algorithm>
#include <filesystem>
#include <regex>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <qing/serve/files/file_store.h>
#include <qing/serve/maintenance/leftovers.h>
#include <qing/serve/state/state.h>
#include <qing/tensor/files.h>

namespace qing::test {

/// Replaces the ids of files, jobs and feedback, and the part of an id in a model's name.
inline std::string without_ids(const std::string& text) {
  static const std::regex kIds("(file|ftjob|fb)-[A-Za-z0-9]{24}|(ft-scratch)-[a-z0-9]{8}");
  return std::regex_replace(text, kIds, "$1$2-*");
}

/// The names below a folder, and the bytes of the files but those of databases and locks.
inline std::string tree_text(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> lines;
  if (!fs::exists(folder)) return {};
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.find(".db") != std::string::npos || name == ".registry.lock") continue;
    const std::string bytes = entry.is_regular_file() ? " " + read_file(entry.path()) : "";
    lines.push_back(entry.path().lexically_relative(folder).string() + bytes);
  }
  for (std::string& line : lines) line = without_ids(line);
  std::ranges::sort(lines);
  return fmt::format("{}", fmt::join(lines, "\n"));
}

inline std::string rows_text(serve::Database& database, const std::string& sql, int columns) {
  serve::Statement row = database.prepare(sql);
  std::string text;
  while (row.step()) {
    for (int column = 0; column < columns; ++column) text += row.text(column) + "|";
    text += "\n";
  }
  return without_ids(text);
}

/// Of the folder of a state, after the clean-up of a start.
inline std::string state_text(const std::filesystem::path& folder) {
  const serve::State state(folder);
  serve::Database database = state.open();
  serve::FileStore(database, state).clean();
  serve::remove_leftovers(state);
  std::string text = rows_text(database, "PRAGMA integrity_check", 1);
  for (const auto& [columns, number, table] : std::vector<std::tuple<std::string, int, std::string>>{
           {"name, purpose, bytes, sha256, report", 5, "files"},
           {"status, base, failures, milliseconds, step, steps, trained_tokens, error_code, hyperparameters, outcome",
            10, "jobs"},
           {"level, type, message, data", 4, "job_events"},
           {"name, project", 2, "models"},
           {"action, object, detail, project", 4, "audit"},
           {"project, label, text, request", 4, "feedback"},
           {"model, version, reasons", 3, "promotions"},
           {"model, location", 2, "evaluation_sets"},
           {"model, version, step, phase", 4, "trial_plans"},
           {"model, project, started, feedback", 4, "retraining"}}) {
    text += table + ":\n" + rows_text(database, fmt::format("SELECT {} FROM {} ORDER BY 1, 2", columns, table), number);
  }
  return text + tree_text(folder);
}

}  // namespace qing::test
