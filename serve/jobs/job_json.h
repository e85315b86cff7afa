// Jobs and their events as OpenAI's clients read them.
#pragma once

#include <string>
#include <string_view>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/jobs/job_store.h>
#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// Writes the job with every member that OpenAI's clients read; null where there is nothing. `progress`, `options` and
/// `outcome` are this service's own.
void write_job(JsonWriter& json, const TrainingJob& job);
std::string event_id(std::string_view job, std::int64_t number);
/// The number of an event's id; 0 for a text that is no event's id of this job.
std::int64_t event_number(std::string_view job, std::string_view id);
void write_event(JsonWriter& json, const std::string& job, const JobEvent& event);
/// A server-sent event: its id and the event as data.
/// https://html.spec.whatwg.org/multipage/server-sent-events.html
std::string server_sent(const std::string& job, const JobEvent& event);

}  // namespace qing::serve
