// The teachers of a training as the command line names them: FOLDER or FOLDER=FILE.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/optim/classifier/train_options.h>
#include <qing/serve/runs/data_files.h>

namespace qing::serve::cli {

/// Replaces options.teachers, which holds what --teacher says, by the folders, and sets teacher_groups: the places in
/// `files` of the files that each teacher is for. A folder for several files is one teacher. UsageError for a file that
/// is none of them.
void resolve_teachers(optim::TrainOptions& options, std::span<const std::filesystem::path> files);

/// IoError when the file of the teachers' predictions is not there and cannot be made, or is a folder. Asking the
/// teachers takes long, and the file is written after it.
void check_teacher_cache(const std::filesystem::path& file);

/// The weights of the teachers, whose folders may repeat, with their digests. IoError, DataError.
std::vector<DataFile> teacher_files(std::span<const std::filesystem::path> folders);

}  // namespace qing::serve::cli
