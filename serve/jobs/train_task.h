// What a job's worker does before and after `qing train`: the data and options of the training, and its results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

#include <qing/optim/classifier/train_option_table.h>
#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// An option of `qing train` as a request names it: the name of its row, or its name on the command line, with
/// underscores for dashes. Null for another name, and for those that name folders, which a request must not choose.
const optim::TrainOption* requested_option(std::string_view name);
/// The texts that the command line would take for this value. ValueError "name: ..." for a value of another type or out
/// of the option's range.
std::vector<std::string> option_texts(const optim::TrainOption& option, const boost::json::value& value);

/// Whether this is an option of the run: eval_every, early_stop or checkpoint_every. Each is a count.
bool is_run_option(std::string_view name);
std::vector<std::string> run_option_texts(std::string_view name, const boost::json::value& value);  ///< ValueError

/// The option that is no option of `qing train`: a search for settings before the training. Its value is an object with
/// "settings", their number, and "epochs", how many passes over the texts the search may take. ValueError.
inline constexpr std::string_view kSearchOption = "search";
std::vector<std::string> search_texts(const boost::json::value& value);

/// The other options that are no options of `qing train`: what the job asks of a cluster (cluster_wishes.h). The value
/// is an object with "ranks", "minutes" and, of Slurm, "partition", each of which may be left out.
inline constexpr std::string_view kSlurmOption = "slurm", kKubernetesOption = "kubernetes";

/// Reads the files of the job's task and writes train.toml, the data and plan.json into its folder:
/// - data.jsonl and dev.jsonl. Without a validation file, a tenth of the texts validates, chosen by their hash.
/// - base/NAME, a copy of the model to begin with. Its order of labels stands if the data have the same labels.
/// - hyperparameters that are "auto", by the number of texts.
/// DataError or ValueError when the files or options are not fit to train on; IoError.
void prepare_training(const JobFolder& folder);

/// Writes results.csv, the model's manifest and outcome.json, and removes what only a resumed training needs. Does
/// nothing if it was done. IoError, DataError.
void finish_training(const JobFolder& folder);

}  // namespace qing::serve
