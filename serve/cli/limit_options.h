// The limits of `qing serve` as options.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include <qing/serve/cli/number_from.h>
#include <qing/serve/common/limits.h>

namespace qing::serve::cli {

namespace detail {

inline void add_count(CLI::App* command, const char* name, size_t& value, const char* about, size_t least = 1,
                      size_t most = size_t{1} << 30) {
  command->add_option(name, value, about)
      ->capture_default_str()
      ->check(number_from(static_cast<double>(least), static_cast<double>(most)));
}

// A time in seconds, possibly with a fraction.
inline void add_time(CLI::App* command, const char* name, std::chrono::milliseconds& value, const char* about,
                     double least = 0.001) {
  const auto set = [&value](const double& seconds) {
    value = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  };
  std::ostringstream preset;
  preset << static_cast<double>(value.count()) / 1000;
  command->add_option_function<double>(name, set, about)->default_str(preset.str())->check(number_from(least, 1e6));
}

}  // namespace detail

inline void add_limits(CLI::App* command, Limits& limits) {
  using detail::add_count, detail::add_time;
  add_count(command, "--body-bytes", limits.body_bytes, "Maximum size of a request body in bytes. HTTP error: 413");
  add_count(command, "--header-bytes", limits.header_bytes,
            "Maximum size of the request line and headers in bytes. HTTP error: 431");
  add_count(command, "--header-fields", limits.header_fields,
            "Maximum number of header fields per request. HTTP error: 431");
  add_count(command, "--bodies-bytes", limits.bodies_bytes,
            "Maximum size of all request bodies in memory together, in bytes. HTTP error: 503", 1, size_t{1} << 40);
  add_count(command, "--json-depth", limits.json_depth, "Maximum nesting depth of a JSON body. HTTP error: 400", 1,
            100);
  add_count(command, "--texts", limits.texts, "Maximum number of texts per request. HTTP error: 422");
  add_count(command, "--text-bytes", limits.text_bytes, "Maximum size of a text in bytes. HTTP error: 422");
  add_count(command, "--explained-texts", limits.explained_texts,
            "Maximum number of texts per request for explanations. HTTP error: 422");
  add_count(command, "--connections", limits.connections, "Maximum number of open connections. HTTP error: 503");
  add_count(command, "--address-connections", limits.address_connections,
            "Maximum number of open connections per client address. Local connections do not count. HTTP error: 503");
  add_count(command, "--queue-texts", limits.queue_texts, "Queue length per model in texts. HTTP error: 503");
  add_count(command, "--queue-tokens", limits.queue_tokens,
            "Queue length per model in estimated tokens. HTTP error: 503");
  add_count(command, "--batch-texts", limits.batch_texts, "Maximum batch size in texts");
  add_count(command, "--batch-tokens", limits.batch_tokens,
            "Maximum batch size in tokens. A longer text is a batch of its own");
  add_count(
      command, "--workers", limits.compute_workers,
      "Number of batches computed in parallel. The workers share the threads evenly. 0 means one worker per thread", 0,
      1024);
  add_count(command, "--cache-bytes", limits.cache_bytes, "Size of the prediction cache in bytes. 0 disables it", 0,
            size_t{1} << 40);
  add_count(command, "--file-bytes", limits.file_bytes,
            "Maximum size of an uploaded file or archive in bytes. HTTP error: 413", 1, size_t{1} << 44);
  add_count(command, "--model-bytes", limits.model_bytes,
            "Maximum size of the files of an uploaded model together, in bytes. HTTP error: 422", 1, size_t{1} << 44);
  add_count(command, "--storage-bytes", limits.storage_bytes,
            "Maximum size of all files of a project together, in bytes. HTTP error: 413", 1, size_t{1} << 50);
  add_count(command, "--upload-rate", limits.upload_rate,
            "Minimum rate of an upload in bytes per second, after the first --request-time. HTTP error: 408");
  add_time(command, "--request-time", limits.request_time,
           "Timeout in seconds for receiving a request, from its first byte to its last. HTTP error: 408");
  add_time(command, "--predict-time", limits.predict_time,
           "Timeout in seconds for answering a request after its last byte. HTTP error: 504");
  add_time(command, "--idle-time", limits.idle_time, "Timeout in seconds of an idle keep-alive connection");
  add_time(command, "--write-time", limits.write_time, "Timeout in seconds for sending a response");
  add_time(command, "--linger-time", limits.linger_time,
           "Time in seconds to keep reading after a refusal, so that the client receives it");
  add_count(command, "--retry-after", limits.retry_after_seconds,
            "Value of the Retry-After header of a 503 response, in seconds", 1, 3600);
  add_time(
      command, "--drain-delay", limits.drain_delay,
      "Time in seconds in which a server that stops is not ready, but still answers. Each answer ends its connection",
      0);
  add_time(command, "--drain-time", limits.drain_time,
           "Timeout in seconds for the requests in flight when the server stops, after --drain-delay");
}

}  // namespace qing::serve::cli
