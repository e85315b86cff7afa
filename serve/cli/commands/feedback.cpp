// `qing feedback`: what clients said about answers.
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/state_option.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/state/feedback.h>
#include <qing/serve/state/state.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

struct FeedbackArguments {
  std::filesystem::path state, out;
  std::string model, project;
  bool json = false;
};

Database open_state(const std::filesystem::path& folder) {
  const State state(folder);
  if (!state.exists()) {
    throw IoError(fmt::format("{}: keeps nothing yet; give the folder of qing serve --state", folder.string()));
  }
  return state.open();
}

// Prints one line per model and version, and one for each of its labels.
void run_feedback_summary(const FeedbackArguments& a) {
  Database database = open_state(a.state);
  FeedbackStore store(database);
  const FeedbackQuery query{.project = a.project, .model = a.model};
  for (const FeedbackTotal& total : store.totals(query)) {
    const bool numbers = total.problem == nn::Problem::regression;
    if (!a.json) {
      const std::string said =
          numbers ? fmt::format("mean absolute error {:.6g}, root mean squared error {:.6g} of {}",
                                total.absolute_error, std::sqrt(total.squared_error), how_many(total.total, "answer"))
                  : fmt::format("{} of {} agreed", total.agreed, how_many(total.total, "answer"));
      print_line(
          fmt::format("{}  version {}: {}, {} kept", total.model, total.version, said, how_many(total.kept, "text")));
      continue;
    }
    JsonWriter json(JsonWriter::Style::kSpaced);
    json.begin_object().member("model", total.model).member("version", std::to_string(total.version));
    json.member("problem", name_of(total.problem)).member("feedback", total.total);
    if (numbers) {
      json.member("mean_absolute_error", total.absolute_error);
      json.member("root_mean_squared_error", std::sqrt(total.squared_error));
    } else {
      json.member("agreed", total.agreed);
    }
    print_line(json.member("kept_texts", total.kept).end().take());
  }
  for (const FeedbackCount& count : store.counts(query)) {
    if (!a.json) {
      print_line(fmt::format("{}  version {}  {}: {} of {} agreed, predicted for {}", count.model, count.version,
                             count.label, count.agreed, how_many(count.total, "answer"), count.predicted));
      continue;
    }
    JsonWriter json(JsonWriter::Style::kSpaced);
    json.begin_object().member("model", count.model).member("version", std::to_string(count.version));
    json.member("label", count.label).member("feedback", count.total).member("agreed", count.agreed);
    print_line(json.member("predicted", count.predicted).end().take());
  }
}

// Writes the kept texts with their right labels, as qing train and qing eval read them.
void run_feedback_export(const FeedbackArguments& a) {
  Database database = open_state(a.state);
  std::string lines;
  std::int64_t last = 0, rows = 0;
  for (;;) {
    const std::vector<Feedback> some = FeedbackStore(database).kept(a.project, a.model, last, 10'000);
    if (some.empty()) break;
    for (const Feedback& feedback : some) { lines += training_row(feedback) + "\n"; }
    rows += static_cast<std::int64_t>(some.size());
    last = some.back().number;
  }
  if (rows == 0) throw DataError("feedback: no text of this model and project is kept; give others");
  write_file_atomically(a.out, lines);
  print_line(how_many(rows, "text"));
}

}  // namespace

void add_feedback(CommandLine& line) {
  const auto a = std::make_shared<FeedbackArguments>();
  CLI::App* feedback = line.app.add_subcommand("feedback", "Show or export what clients said about answers");
  feedback->require_subcommand(1);
  CLI::App* summary = feedback->add_subcommand("summary", "Show how often feedback agreed with the answers");
  add_state(summary, a->state);
  summary->add_option("--model", a->model, "Model. The default is all models");
  summary->add_option("--project", a->project, "Project. The default is all projects");
  summary->add_flag("--json", a->json, "Print one JSON object per line");
  summary->callback([&line, a] { line.run = [a] { run_feedback_summary(*a); }; });
  CLI::App* exported = feedback->add_subcommand("export", "Write kept texts with their right labels (JSONL)");
  add_state(exported, a->state);
  exported->add_option("--model", a->model, "Model")->required();
  exported->add_option("--project", a->project, "Project")->required();
  exported->add_option("--out", a->out, "JSONL file")->required()->type_name("FILE");
  exported->callback([&line, a] { line.run = [a] { run_feedback_export(*a); }; });
}

}  // namespace qing::serve::cli
