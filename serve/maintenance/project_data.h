// All that a project holds in a state folder: its export and its deletion.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include <qing/serve/state/state.h>

namespace qing::serve {

/// Rows by table.
using ProjectRows = std::map<std::string, std::int64_t>;

/// Writes the project's rows of all tables (TABLE.jsonl, one JSON object per line), its files, models and the folders
/// of its finished jobs to an archive, as they are at one moment. Servers may use the state meanwhile, as during
/// back_up_state(). IoError, with nothing left; ValueError for an invalid name.
ProjectRows export_project(const State& state, const std::string& project, const std::filesystem::path& file);

/// Deletes the project's rows, files, jobs and models, and overwrites the rows in the database. The audit log keeps its
/// entries, which have no texts, and gets one of the deletion. Copies of the database that migrations left are deleted
/// too. Files are removed before their rows are, so after a crash the next call finishes the work. Running servers
/// answer with a deleted model until they look for models again, but to nobody of another project. ValueError for an
/// invalid name, or while a job of the project is not finished. IoError.
ProjectRows delete_project(const State& state, const std::string& project);

}  // namespace qing::serve
