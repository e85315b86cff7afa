// GET /metrics: the counters of the service in Prometheus' text format 0.0.4.
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/common/version.h>
#include <qing/serve/monitoring/process.h>

namespace qing::serve::protocols {
namespace {

// Escapes backslash, quote and line break in the value of a label.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

class Text {
 public:
  void begin(std::string_view name, std::string_view type, std::string_view help) {
    out_ += fmt::format("# HELP qing_{0} {1}\n# TYPE qing_{0} {2}\n", name, help, type);
  }
  void value(std::string_view name, std::string_view labels, auto value) {
    out_ +=
        fmt::format("qing_{}{}{}{} {}\n", name, labels.empty() ? "" : "{", labels, labels.empty() ? "" : "}", value);
  }
  void histogram(std::string_view name, const std::string& labels, const Histogram& histogram) {
    this->histogram(name, labels, histogram.read());
  }
  void histogram(std::string_view name, const std::string& labels, const Histogram::Reading& reading) {
    std::uint64_t below = 0;
    for (size_t i = 0; i < reading.bounds.size(); ++i) {
      below += reading.counts[i];
      value(fmt::format("{}_bucket", name), fmt::format("{},le=\"{}\"", labels, reading.bounds[i]), below);
    }
    value(fmt::format("{}_bucket", name), labels + ",le=\"+Inf\"", reading.count);
    value(fmt::format("{}_sum", name), labels, reading.sum);
    value(fmt::format("{}_count", name), labels, reading.count);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

std::string model_label(const std::string& name) { return fmt::format("model=\"{}\"", escaped(name)); }

void write_routes(Text& text, const Statistics& statistics) {
  text.begin("requests_total", "counter", "Requests by route and status.");
  statistics.for_each_route([&](const std::string& route, const RouteStatistics& counts) {
    for (size_t i = 0; i < counts.by_status.size(); ++i) {
      const std::uint64_t count = counts.by_status[i];
      if (count == 0) continue;
      text.value("requests_total", fmt::format("route=\"{}\",status=\"{}\"", escaped(route), i + 100), count);
    }
  });
  text.begin("request_seconds", "histogram", "Time from a request's first byte to its response, by route.");
  statistics.for_each_route([&](const std::string& route, const RouteStatistics& counts) {
    text.histogram("request_seconds", fmt::format("route=\"{}\"", escaped(route)), counts.seconds);
  });
}

struct ModelCounter {
  std::string_view name, help;
  Counter ModelStatistics::*counter;
};
constexpr ModelCounter kModelCounters[] = {
    {"model_requests_total", "Requests admitted to the queue.", &ModelStatistics::requests},
    {"model_refused_total", "Requests refused for want of room in the queue.", &ModelStatistics::refused},
    {"model_expired_total", "Requests not begun by their deadline.", &ModelStatistics::expired},
    {"model_cancelled_total", "Requests dropped because their client had left, or been told that it took too long.",
     &ModelStatistics::cancelled},
    {"model_failed_total", "Requests on which the model failed.", &ModelStatistics::failed},
    {"model_texts_total", "Texts computed.", &ModelStatistics::texts},
    {"model_tokens_total", "Tokens computed, special ones included.", &ModelStatistics::tokens},
    {"model_cached_total", "Texts answered from the cache.", &ModelStatistics::cached},
    {"model_batches_total", "Batches computed.", &ModelStatistics::batches},
    {"model_shadow_texts_total", "Texts answered by a shadow version too.", &ModelStatistics::shadow_texts},
    {"model_shadow_agreed_total", "Of these, with the same label.", &ModelStatistics::shadow_agreed},
    {"model_shadow_difference_millionths_total", "Of these, mean absolute differences of scores, summed.",
     &ModelStatistics::shadow_difference},
    {"model_shadow_dropped_total", "Texts a shadow version did not answer.", &ModelStatistics::shadow_dropped},
    {"model_canary_requests_total", "Requests given to the version on trial.", &ModelStatistics::canary_requests},
};

struct ModelGauge {
  std::string_view name, help;
  Gauge ModelStatistics::*gauge;
};
constexpr ModelGauge kModelGauges[] = {
    {"model_queued_requests", "Requests that wait.", &ModelStatistics::queued_requests},
    {"model_queued_texts", "Texts that wait.", &ModelStatistics::queued_texts},
    {"model_queued_tokens", "Tokens that wait, estimated.", &ModelStatistics::queued_tokens},
};

struct ModelHistogram {
  std::string_view name, help;
  Histogram ModelStatistics::*histogram;
};
constexpr ModelHistogram kModelHistograms[] = {
    {"model_batch_texts", "Texts of a batch.", &ModelStatistics::batch_texts},
    {"model_batch_tokens", "Tokens of a batch.", &ModelStatistics::batch_tokens},
    {"model_queue_seconds", "Time in the queue.", &ModelStatistics::queue_seconds},
    {"model_compute_seconds", "Compute time of a batch.", &ModelStatistics::compute_seconds},
};

// Whether the caller may see a model.
using Shown = std::function<bool(const std::string& model)>;

void write_models(Text& text, const Statistics& statistics, const Shown& shown) {
  for (const auto& one : kModelCounters) {
    text.begin(one.name, "counter", one.help);
    statistics.for_each_model([&](const std::string& model, const ModelStatistics& counts) {
      if (shown(model)) text.value(one.name, model_label(model), (counts.*one.counter).load());
    });
  }
  for (const auto& one : kModelGauges) {
    text.begin(one.name, "gauge", one.help);
    statistics.for_each_model([&](const std::string& model, const ModelStatistics& counts) {
      if (shown(model)) text.value(one.name, model_label(model), (counts.*one.gauge).load());
    });
  }
  for (const auto& one : kModelHistograms) {
    text.begin(one.name, "histogram", one.help);
    statistics.for_each_model([&](const std::string& model, const ModelStatistics& counts) {
      if (shown(model)) text.histogram(one.name, model_label(model), counts.*one.histogram);
    });
  }
}

using Versions = std::vector<VersionStatistics::Reading>;

std::string version_label(const std::string& model, std::int64_t version) {
  return fmt::format("{},version=\"{}\"", model_label(model), version);
}

// Of all versions of a model together.
void write_labels(Text& text, const Versions& versions) {
  std::map<std::pair<std::string, std::string>, std::uint64_t> sums;
  for (const auto& version : versions) {
    for (const auto& [label, count] : version.labels) sums[{version.model, label}] += count;
  }
  text.begin("model_predictions_total", "counter", "Predictions by label.");
  for (const auto& [key, count] : sums) {
    text.value("model_predictions_total", fmt::format("{},label=\"{}\"", model_label(key.first), escaped(key.second)),
               count);
  }
}

// Of the versions that are served now, so that the number of series does not grow with every version.
void write_versions(Text& text, const Service& service, const Versions& all) {
  Versions served;
  std::ranges::copy_if(all, std::back_inserter(served), [&](const auto& version) {
    return std::ranges::binary_search(service.registry().served_versions(version.model), version.version);
  });
  text.begin("version_requests_total", "counter", "Requests answered by a version, failed ones included.");
  for (const auto& one : served) {
    text.value("version_requests_total", version_label(one.model, one.version), one.counts.requests);
  }
  text.begin("version_failed_total", "counter", "Of these, answered with a status of 500 or above.");
  for (const auto& one : served) {
    text.value("version_failed_total", version_label(one.model, one.version), one.counts.failed);
  }
  text.begin("version_request_seconds", "histogram", "Time of these from admission to the answer.");
  for (const auto& one : served) {
    text.histogram("version_request_seconds", version_label(one.model, one.version), one.seconds);
  }
  text.begin("version_predictions_total", "counter", "Predictions of a version by label.");
  for (const auto& one : served) {
    for (const auto& [label, count] : one.labels) {
      text.value("version_predictions_total",
                 fmt::format("{},label=\"{}\"", version_label(one.model, one.version), escaped(label)), count);
    }
  }
}

// Which version answers and which is on trial.
void write_served(Text& text, const Service& service, const std::string& key) {
  text.begin("version_serving", "gauge", "1 for each version that answers: active, or as a canary or a shadow.");
  for (const Model& model : service.models(key)) {
    text.value(
        "version_serving",
        fmt::format("{},role=\"active\",task=\"{}\"", version_label(model.name, model.version), model.served->task()),
        1);
    if (!model.candidate) continue;
    const char* const role = model.trial.shadow ? "shadow" : "canary";
    text.value("version_serving",
               fmt::format("{},role=\"{}\",task=\"{}\"", version_label(model.name, model.trial.version), role,
                           model.served->task()),
               1);
  }
}

using Reading = DriftMonitor::Reading;

std::string version_label(const Reading& reading) { return version_label(reading.model, reading.version); }

struct DriftGauge {
  std::string_view name, help;
  bool compares;  // whether the gauge needs the model's reference profile
  double (*value)(const Reading&);
};
constexpr DriftGauge kDriftGauges[] = {
    {"model_recent_texts", "Texts that recent shares are of.", false,
     [](const Reading& reading) { return static_cast<double>(reading.recent.texts()); }},
    {"model_label_drift", "Population stability index of recent labels: above 0.25 they have shifted.", true,
     [](const Reading& reading) {
       return nn::population_stability_index(*reading.classifier->reference(), reading.recent);
     }},
    {"model_unknown_token_share", "Recent tokens that the vocabulary does not know.", false,
     [](const Reading& reading) { return reading.recent.unknown_share(); }},
    {"model_reference_unknown_token_share", "The same on the texts the model was made for.", true,
     [](const Reading& reading) { return reading.classifier->reference()->unknown_share(); }},
};

void write_shares(Text& text, std::string_view name, const Reading& reading, const nn::DataProfile* profile) {
  if (profile == nullptr) return;
  const std::vector<std::string>& labels = reading.classifier->labels();
  for (size_t i = 0; i < labels.size(); ++i) {
    text.value(name, fmt::format("{},label=\"{}\"", version_label(reading), escaped(labels[i])),
               profile->label_share(i));
  }
}

// Recent predictions of each version beside its reference profile. Drift shows first in how often each label is
// predicted.
void write_drift(Text& text, const Service& service, const Shown& shown) {
  std::vector<Reading> readings;
  service.drift().for_each([&](const Reading& reading) {
    if (shown(reading.model)) readings.push_back(reading);
  });
  for (const DriftGauge& gauge : kDriftGauges) {
    text.begin(gauge.name, "gauge", gauge.help);
    for (const Reading& reading : readings) {
      if (gauge.compares && reading.classifier->reference() == nullptr) continue;
      text.value(gauge.name, version_label(reading), gauge.value(reading));
    }
  }
  text.begin("model_label_share", "gauge", "Share of each label in recent predictions.");
  for (const Reading& reading : readings) write_shares(text, "model_label_share", reading, &reading.recent);
  text.begin("model_reference_label_share", "gauge", "The same on the texts the model was made for.");
  for (const Reading& reading : readings) {
    write_shares(text, "model_reference_label_share", reading, reading.classifier->reference());
  }
}

std::string write(const Service& service, const std::string& key) {
  Text text;
  const Shown shown = [&](const std::string& model) { return service.visible(model, key); };
  const Statistics& statistics = service.statistics();
  write_routes(text, statistics);
  write_models(text, statistics, shown);
  Versions versions = service.versions().read_all();
  std::erase_if(versions, [&](const auto& version) { return !shown(version.model); });
  write_labels(text, versions);
  write_versions(text, service, versions);
  write_served(text, service, key);
  write_drift(text, service, shown);
  text.begin("connections_open", "gauge", "Open connections.");
  text.value("connections_open", "", statistics.connections.open.load());
  text.begin("connections_accepted_total", "counter", "Connections accepted.");
  text.value("connections_accepted_total", "", statistics.connections.accepted.load());
  text.begin("connections_turned_away_total", "counter", "Connections over a cap.");
  text.value("connections_turned_away_total", "", statistics.connections.turned_away.load());
  text.begin("connections_timed_out_total", "counter", "Connections cut by a deadline.");
  text.value("connections_timed_out_total", "", statistics.connections.timed_out.load());
  text.begin("build_info", "gauge", "1, with the version of qing.");
  text.value("build_info", fmt::format("version=\"{}\"", kVersion), 1);
  text.begin("resident_memory_bytes", "gauge", "Resident memory of the process.");
  text.value("resident_memory_bytes", "", resident_bytes());
  text.begin("ready", "gauge", "1 when there is a model and the server does not stop.");
  text.value("ready", "", service.ready() ? 1 : 0);
  // By this name, without a prefix, tools know the start of a process.
  return text.take() + fmt::format(
                           "# HELP process_start_time_seconds Start of the process, in seconds since 1970.\n"
                           "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {:.2f}\n",
                           process_start_seconds());
}

}  // namespace

std::vector<Route> metrics(Service& service) {
  return {{.method = "GET",
           .pattern = "/metrics",
           .scope = Scope::kMetrics,
           .operation = {"observability", "Metrics for Prometheus", {}, {}, "text/plain"},
           .open = [&service](const Call& call) {
             return answer({200, write(service, call.key), {}, "text/plain; version=0.0.4; charset=utf-8"});
           }}};
}

}  // namespace qing::serve::protocols
