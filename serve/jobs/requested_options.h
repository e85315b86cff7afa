// The options of `qing train` that a request for a training job may give, and what they mean together.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/problem.h>
#include <qing/optim/classifier/train_option_table.h>

namespace qing::serve {

/// An option of `qing train` as a request names it: the name of its row, or its name on the command line, with
/// underscores for dashes. Null for another name, and for those that name folders, which a request must not choose.
const optim::TrainOption* requested_option(std::string_view name);
/// The texts that the command line would take for this value. ValueError "name: ..." for a value of another type or out
/// of the option's range.
std::vector<std::string> option_texts(const optim::TrainOption& option, const boost::json::value& value);

/// Whether this is an option of the run: eval_every, early_stop or checkpoint_every, which are counts, or best, a
/// measure.
bool is_run_option(std::string_view name);
std::vector<std::string> run_option_texts(std::string_view name, const boost::json::value& value);  ///< ValueError

/// Whether this is an option of the files: text_column, label_column, label_separator or label_columns.
bool is_file_option(std::string_view name);
std::vector<std::string> file_option_texts(std::string_view name, const boost::json::value& value);  ///< ValueError

/// The option that is no option of `qing train`: a search for settings before the training. Its value is an object with
/// "settings", their number, and "epochs", how many passes over the texts the search may take. ValueError.
inline constexpr std::string_view kSearchOption = "search";
std::vector<std::string> search_texts(const boost::json::value& value);

/// The other options that are no options of `qing train`: what the job asks of a cluster (cluster_wishes.h). The value
/// is an object with "ranks", "minutes" and, of Slurm, "partition", each of which may be left out.
inline constexpr std::string_view kSlurmOption = "slurm", kKubernetesOption = "kubernetes";

/// What the job trains. `options` are those of a request, lists of texts by name with dashes. The kind is that of the
/// flags multi-label, ordinal and regression, or of label-columns, which mark several labels. Without them it is the
/// kind of the model to begin with, or single labels from scratch.
nn::Problem problem_of(const boost::json::object& options, nn::Problem of_base);

/// How the files of the job are read. The labels are those of the request, if it names any, else none.
nn::DatasetOptions reading_of(const boost::json::object& options, nn::Problem of_base);

/// ValueError "name: ..." for options that exclude each other or that the kind of problem does not have, for a measure
/// that it does not have, and for ordered labels that are numbers in another order.
void check_together(const boost::json::object& options, nn::Problem of_base);

}  // namespace qing::serve
