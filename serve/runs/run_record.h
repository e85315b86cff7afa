// The description of a training in run.json: enough to check that a resumed run is the same training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/settings.h>

namespace qing::serve::cli {

struct RunRecord {
  std::string command = "train";  ///< of qing
  std::string state =
      "running";     ///< or "extended", "interrupted", "finished"; a killed process leaves one of the first two
  int64_t step = 0;  ///< when the state was written
  Settings settings;
  std::vector<DataFile> data, extra, dev;
  std::vector<DataFile> unlabelled, teachers;  ///< of a teacher its folder and the digest of its weights
};

RunRecord read_record(const std::filesystem::path& file);  ///< IoError; DataError naming the file and the field
void write_record(const std::filesystem::path& file, const RunRecord& record);  ///< IoError

/// Whether `now` takes more epochs or steps than `before`.
bool extends(const RunRecord& now, const RunRecord& before);

/// The differences that prevent `now` from resuming `before`, one sentence each; empty if it can. File names may
/// differ, and so may options that only affect location or speed. A finished training may get more epochs or steps, and
/// another patience for them.
std::vector<std::string> changes(const RunRecord& before, const RunRecord& now);

}  // namespace qing::serve::cli
