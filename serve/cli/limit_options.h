// The limits of `qing serve` as options. Included by serve/cli/main.cpp alone, as config_file.h is.
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

inline void add_count(CLI::App* command, const char* name, std::size_t& value, const char* about, std::size_t least = 1,
                      std::size_t most = std::size_t{1} << 30) {
  command->add_option(name, value, about)->capture_default_str()->check(CLI::Range(least, most));
}

// In seconds, with a fraction or not.
inline void add_time(CLI::App* command, const char* name, std::chrono::milliseconds& value, const char* about) {
  const auto set = [&value](const double& seconds) {
    value = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  };
  std::ostringstream preset;
  preset << static_cast<double>(value.count()) / 1000;
  command->add_option_function<double>(name, set, about)->default_str(preset.str())->check(number_from(0.001, 1e6));
}

}  // namespace detail

inline void add_limits(CLI::App* command, Limits& limits) {
  using detail::add_count, detail::add_time;
  add_count(command, "--body-bytes", limits.body_bytes, "Of a request's body; more: 413");
  add_count(command, "--header-bytes", limits.header_bytes, "Of a request's line and headers; more: 431");
  add_count(command, "--header-fields", limits.header_fields, "Of a request; more: 431");
  add_count(command, "--bodies-bytes", limits.bodies_bytes, "Of the bodies of all requests together; more: 503", 1,
            std::size_t{1} << 40);
  add_count(command, "--json-depth", limits.json_depth, "Nesting of a JSON body; more: 400", 1, 100);
  add_count(command, "--texts", limits.texts, "In one request; more: 422");
  add_count(command, "--text-bytes", limits.text_bytes, "Of one text; more: 422");
  add_count(command, "--explained-texts", limits.explained_texts, "In one request that asks for explanations");
  add_count(command, "--connections", limits.connections, "Open at once; more: 503");
  add_count(command, "--address-connections", limits.address_connections, "From one address but this machine's own");
  add_count(command, "--queue-texts", limits.queue_texts, "That wait for one model; more: 503");
  add_count(command, "--queue-tokens", limits.queue_tokens, "That wait for one model, estimated; more: 503");
  add_count(command, "--batch-texts", limits.batch_texts, "Computed together at most");
  add_count(command, "--batch-tokens", limits.batch_tokens, "Computed together at most, but one text at least");
  add_count(command, "--workers", limits.compute_workers,
            "Batches computed at the same time, each on its share of the threads; 0: one a thread", 0, 1024);
  add_count(command, "--cache-bytes", limits.cache_bytes, "To remember predictions of repeated texts; 0: none", 0,
            std::size_t{1} << 40);
  add_time(command, "--request-time", limits.request_time,
           "Seconds from a request's first byte to its last; more: 408");
  add_time(command, "--predict-time", limits.predict_time, "Seconds from there to the answer; more: 504");
  add_time(command, "--idle-time", limits.idle_time, "Seconds a connection stays open between requests");
  add_time(command, "--write-time", limits.write_time, "Seconds for a client to take its answer");
  add_time(command, "--linger-time", limits.linger_time, "Seconds a refused client may take to notice");
  add_count(command, "--retry-after", limits.retry_after_seconds,
            "Seconds after which a client refused with 503 is told "
            "to come back",
            1, 3600);
  add_time(command, "--drain-time", limits.drain_time, "Seconds for what is in flight when the server stops");
}

}  // namespace qing::serve::cli
