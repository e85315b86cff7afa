#include <qing/serve/cli/classifier_run.h>

#include <fmt/format.h>

#include <qing/serve/cli/training_session.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/teacher_files.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {

std::vector<std::filesystem::path> training_files(const TrainArguments& arguments) {
  std::vector<std::filesystem::path> files = arguments.data;
  for (const auto* more : {&arguments.extra, &arguments.unlabelled})
    files.insert(files.end(), more->begin(), more->end());
  return files;
}

optim::TrainOptions train_options(const TrainArguments& arguments) {
  optim::TrainOptions options = arguments.options;
  for (size_t i = 0; i < arguments.extra.size(); ++i) {
    options.extra_groups.push_back(static_cast<int32_t>(arguments.data.size() + i));  // as take_examples numbers them
  }
  for (size_t i = 0; i < arguments.unlabelled.size(); ++i) {
    options.unlabelled_groups.push_back(static_cast<int32_t>(arguments.data.size() + arguments.extra.size() + i));
  }
  const std::vector<std::filesystem::path> files = training_files(arguments);
  resolve_teachers(options, files);
  for (const int32_t group : options.unlabelled_groups) {
    if (optim::has_teacher(options, group)) continue;
    throw UsageError(
        fmt::format("--unlabelled {}: its texts have no label and no teacher; add --teacher FOLDER, or "
                    "--teacher FOLDER={}",
                    files[static_cast<size_t>(group)].string(), files[static_cast<size_t>(group)].string()));
  }
  return options;
}

std::filesystem::path teacher_cache_of(const TrainArguments& arguments, const RunDirectory& run) {
  return arguments.teacher_cache.empty() ? run.path("teachers.safetensors") : arguments.teacher_cache;
}

optim::TrainResult train_on(const TrainingTexts& texts, const optim::TrainOptions& options,
                            const std::filesystem::path& out, const optim::OnProgress& on_progress,
                            const optim::RunOptions& run, const optim::TeacherOptions& teachers) {
  if (texts.stream) return optim::train_streamed_classifier(*texts.stream, options, out, on_progress, {}, run);
  return optim::train_classifier(texts.examples, options, out, on_progress, {}, run, teachers);
}

std::vector<std::string> texts_of_scores(const std::vector<DevScore>& scores, const std::vector<LabelledFile>& dev) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < scores.size(); ++i) {
    const DevScore& one = scores[i];
    texts.push_back(fmt::format("accuracy {:.4f}, macro recall {:.4f}, macro F1 {:.4f}, log loss {:.4f} ({})",
                                one.accuracy, one.macro_recall, one.macro_f1, one.loss,
                                how_many(dev[i].examples.size(), "text")));
  }
  return texts;
}

optim::TrainResult train_run(const TrainArguments& arguments, const optim::TrainOptions& options,
                             const RunDirectory& run, const TrainingTexts& texts, optim::Communicator* ranks) {
  TrainingSession session(arguments, run, ranks);
  const optim::TeacherOptions teachers{
      .cache = teacher_cache_of(arguments, run), .on_progress = [&](const optim::TeacherProgress& now) {
        session.display().show(now);
        if (!session.interrupted()) return;
        session.display().end_line();
        throw Error("stopped while the teachers were asked; --resume asks again from the file of texts that was begun");
      }};
  const Measure& measure = measure_of(arguments.best);
  TrainingSession::Evaluate evaluate;
  if (!texts.dev.empty()) {
    evaluate = [&](const std::filesystem::path& model, const optim::Progress& progress) {
      if (options.problem() != nn::Problem::single_label) {
        const std::vector<SetScores> scores = score_sets(model, texts.dev, measure);
        for (const SetScores& set : scores) session.print_scores(progress, set.name, set.text);
        return session.add_evaluation(progress, scores, measure.score(scores));
      }
      const std::vector<DevScore> scores = score_dev(model, texts.dev);
      const std::vector<std::string> lines = texts_of_scores(scores, texts.dev);
      for (size_t i = 0; i < scores.size(); ++i) session.print_scores(progress, scores[i].name, lines[i]);
      return session.add_evaluation(progress, scores, measure);
    };
  }
  return session.run(
      [&](const optim::OnProgress& on_progress, const optim::RunOptions& run_options) {
        return train_on(texts, options, arguments.out, on_progress, run_options, teachers);
      },
      evaluate);
}

}  // namespace qing::serve::cli
