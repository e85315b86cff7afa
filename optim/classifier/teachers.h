// Teachers of a classifier (distillation, Hinton et al. 2015): trained models whose predictions are targets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/classifier/train_options.h>

namespace qing::optim {

struct TeacherProgress {
  std::filesystem::path folder;
  int64_t texts, all;  ///< that this teacher has read, and will
};

/// Where predictions are kept, and who is told about them.
struct TeacherOptions {
  /// File of the predictions; empty: none. Those that were made with the same files of a teacher for the same texts of
  /// a group are taken from it, and new ones are added. Trainings may share it, one after the other or at once: what
  /// one of them overwrites is only asked again.
  std::filesystem::path cache = {};
  std::function<void(const TeacherProgress&)> on_progress = {};
};

/// Whether some teacher of the options has the texts of the group.
bool has_teacher(const TrainOptions& options, int32_t group);

/// For each example the mean of the scores of the teachers that have its group, by label; empty where none has.
/// ValueError for a teacher with other labels; DataError, IoError for one that cannot be read; IoError when the cache
/// cannot be written. A damaged cache is written anew.
std::vector<std::vector<float>> ask_teachers(std::span<const nn::Example> examples, const TrainOptions& options,
                                             const TeacherOptions& asking = {});

}  // namespace qing::optim
