#include <qing/serve/cli/streamed_data.h>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <set>
#include <system_error>

#include <qing/optim/classifier/streamed_texts.h>
#include <qing/optim/parallel/collectives.h>
#include <qing/serve/cli/problem_options.h>
#include <qing/serve/common/usage_error.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

// The options that say how rows become texts and labels.
const std::set<std::string> kReadingOptions = {"text-column", "label-column", "delimiter", "encoding",
                                               "sheet",       "bad-rows",     "map",       "ordinal"};

double bytes_of(const std::vector<std::filesystem::path>& files) {
  double bytes = 0;
  for (const std::filesystem::path& file : files) {
    std::error_code absent;
    const auto size = std::filesystem::file_size(file, absent);
    if (!absent) bytes += static_cast<double>(size);
  }
  return bytes;
}

// Unasked, the texts that are held out fit the memory whatever the data have.
void choose_share(TrainArguments& arguments) {
  if (!arguments.dev.empty()) arguments.dev_share = 0;
  if (arguments.dev_share_given || arguments.dev_share == 0) return;
  arguments.dev_share = std::min(arguments.dev_share, kHeldBytes / std::max(1.0, bytes_of(arguments.data)));
  set_values(arguments.settings, "dev-share", {fmt::format("{}", arguments.dev_share)});
}

}  // namespace

CachedTexts streamed_data(TrainArguments& arguments, const nn::DatasetOptions& reading, optim::Communicator* ranks,
                          const std::function<void()>& choose) {
  if (arguments.tune > 0) { throw UsageError("--tune trains with texts in memory; leave --tune or --token-cache out"); }
  if (!arguments.options.labels.empty()) order_labels(arguments, false);
  optim::check_streamed_options(train_options(arguments));
  for (const std::filesystem::path& file : arguments.data) {
    std::error_code absent;  // which the reader reports
    if (!std::filesystem::exists(file, absent) || std::filesystem::is_regular_file(file, absent)) continue;
    throw DataError(fmt::format("{}: is read several times; save it in a file", file.string()));
  }
  choose_share(arguments);
  const bool first = ranks == nullptr || ranks->is_first();
  CachedTexts cached;
  std::string entry;
  if (first) {
    TokenCacheRequest request{.folder = arguments.token_cache,
                              .files = arguments.data,
                              .reading = reading,
                              .options = arguments.options,
                              .settings = {},
                              .dev_share = arguments.dev_share,
                              .choose_labels =
                                  [&] {
                                    choose();
                                    optim::check_streamed_options(train_options(arguments));
                                    return arguments.options.labels;
                                  },
                              .tell = [](const std::string& line) { fmt::print(stderr, "{}\n", line); }};
    request.reading.labels = arguments.options.labels;
    for (const Setting& setting : arguments.settings) {
      if (kReadingOptions.contains(setting.name)) request.settings.push_back(setting);
    }
    cached = cached_texts(request);
    entry = cached.entry.string();
  }
  if (ranks != nullptr) {
    optim::broadcast(*ranks, entry);
    if (!first) cached = read_cache_entry(entry);
  }
  arguments.options.labels = cached.labels;
  set_values(arguments.settings, "labels", cached.labels);
  return cached;
}

void advise_token_cache(const TrainArguments& arguments) {
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  const double bytes = bytes_of(training_files(arguments));
  if (bytes < memory / 2) return;
  fmt::print(stderr,
             "qing: warning: the data files have {:.1f} GB and are read into the {:.1f} GB of memory of this machine; "
             "--token-cache FOLDER keeps them on the disk\n",
             bytes / 1e9, memory / 1e9);
}

}  // namespace qing::serve::cli
