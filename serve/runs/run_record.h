// What a training is, in the file run.json: enough to tell whether another process goes on with the same one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/settings.h>

namespace qing::serve::cli {

struct RunRecord {
  std::string state = "running";  ///< or "interrupted", "finished"; a process that is killed leaves "running"
  int64_t step = 0;               ///< when the state was written
  Settings settings;
  std::vector<DataFile> data, extra, dev;
};

RunRecord read_record(const std::filesystem::path& file);  ///< IoError; DataError naming the file and the field
void write_record(const std::filesystem::path& file, const RunRecord& record);  ///< IoError

/// What makes `now` another training than `before`, a sentence each; empty when one can go on with the other's work.
/// Names of files may differ, and what only tells where and how fast.
std::vector<std::string> changes(const RunRecord& before, const RunRecord& now);

}  // namespace qing::serve::cli
