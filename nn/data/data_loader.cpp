#include <qing/nn/data/data_loader.h>

#include <fmt/format.h>

#include <boost/json.hpp>

#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

uint64_t count_of(const json::object& object, const char* name) {
  const json::value* found = object.if_contains(name);
  if (found == nullptr) throw DataError(fmt::format("DataLoader: the state has no '{}'", name));
  boost::system::error_code error;
  const auto value = found->to_number<uint64_t>(error);
  if (error)
    throw DataError(fmt::format("DataLoader: the state's '{}' is not a count: {}", name, json::serialize(*found)));
  return value;
}

std::string count_in_words(const std::optional<uint64_t>& examples) {
  return examples ? fmt::format("{} examples", *examples) : "an iterable data set";
}

}  // namespace

std::string LoaderState::to_json() const {
  json::object object{{"epoch", epoch}, {"position", position}, {"batches", batches}};
  if (examples) object["examples"] = *examples;
  return json::serialize(object);
}

LoaderState LoaderState::from_json(std::string_view text) {
  json::value value;
  try {
    value = parse_file_json(text);
  } catch (const DataError& error) { throw DataError(std::string("DataLoader: the state: ") + error.what()); }
  if (!value.is_object()) throw DataError("DataLoader: the state is not a JSON object");
  const json::object& object = value.get_object();
  LoaderState state;
  state.epoch = count_of(object, "epoch");
  state.position = count_of(object, "position");
  if (object.contains("examples")) state.examples = count_of(object, "examples");
  const json::value* batches = object.if_contains("batches");
  if (batches == nullptr || !batches->is_string()) throw DataError("DataLoader: the state has no text 'batches'");
  state.batches = batches->get_string();
  return state;
}

void LoaderState::check_like(const LoaderState& saved) const {
  if (saved.examples != examples) {
    throw ValueError(
        fmt::format("DataLoader::load_state: the state is of {}, this loader has {}; resume with the same "
                    "data",
                    count_in_words(saved.examples), count_in_words(examples)));
  }
  if (saved.batches != batches) {
    throw ValueError(
        fmt::format("DataLoader::load_state: the state is of \"{}\", this loader has \"{}\"; resume with "
                    "the same options",
                    saved.batches, batches));
  }
}

const DataLoaderOptions& checked(const DataLoaderOptions& options) {
  const auto at_least = [](const char* name, int64_t value, int64_t low) {
    if (value < low) throw ValueError(fmt::format("DataLoader: {} is {}; it must be at least {}", name, value, low));
  };
  at_least("batch_size", options.batch_size, 1);
  at_least("num_workers", options.num_workers, 0);
  at_least("prefetch_factor", options.prefetch_factor, 1);
  if (int64_t capacity = 0; __builtin_mul_overflow(options.num_workers, options.prefetch_factor, &capacity)) {
    throw ValueError(fmt::format("DataLoader: num_workers {} by prefetch_factor {} is more than can be counted",
                                 options.num_workers, options.prefetch_factor));
  }
  at_least("shuffle_buffer", options.shuffle_buffer, 1);
  at_least("world_size", options.world_size, 1);
  at_least("rank", options.rank, 0);
  if (options.rank >= options.world_size) {
    throw ValueError(
        fmt::format("DataLoader: rank {} of a world of {}; ranks count from 0", options.rank, options.world_size));
  }
  return options;
}

std::shared_ptr<const BatchSampler> make_batch_sampler(size_t dataset_size, const DataLoaderOptions& options) {
  checked(options);
  std::shared_ptr<const Sampler> sampler;
  if (options.shuffle) {
    sampler = std::make_shared<RandomSampler>(dataset_size, RandomSamplerOptions{.seed = options.seed});
  } else {
    sampler = std::make_shared<SequentialSampler>(dataset_size);
  }
  if (options.world_size > 1) {
    sampler = std::make_shared<DistributedSampler>(std::move(sampler), static_cast<size_t>(options.rank),
                                                   static_cast<size_t>(options.world_size), options.drop_last);
  }
  return std::make_shared<FixedBatchSampler>(std::move(sampler), static_cast<size_t>(options.batch_size),
                                             options.drop_last);
}

StreamBatchOptions stream_options(const DataLoaderOptions& options) {
  checked(options);
  return {.batch_size = static_cast<size_t>(options.batch_size),
          .drop_last = options.drop_last,
          .shuffle_buffer = options.shuffle ? static_cast<size_t>(options.shuffle_buffer) : 1,
          .seed = options.seed,
          .rank = static_cast<size_t>(options.rank),
          .world_size = static_cast<size_t>(options.world_size)};
}

void check_dataset_size(const BatchSampler* sampler, size_t size) {
  if (sampler == nullptr) throw ValueError("DataLoader: the batch sampler is null");
  if (sampler->dataset_size() != size) {
    throw ValueError(
        fmt::format("DataLoader: the sampler is for {} examples, the data set has {}", sampler->dataset_size(), size));
  }
}

std::string StreamBatchOptions::description() const {
  return fmt::format(
      "batches of {}{}: a stream {}, rank {} of {}", batch_size, drop_last ? ", the last dropped" : "",
      shuffle_buffer > 1 ? fmt::format("shuffled in a buffer of {} with seed {}", shuffle_buffer, seed) : "in order",
      rank, world_size);
}

}  // namespace qing::nn
