// The body of a request for a new training job.
#pragma once

#include <string>
#include <string_view>

#include <qing/serve/jobs/training_job.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

/// The schema of the body, JSON. A body with all options has more members.
inline constexpr std::string_view kNewJobBody = R"({"type":"object","required":["model","training_file"],"properties":{
"model":{"type":"string","minLength":1},"training_file":{"type":"string","minLength":1},"validation_file":{"type":["string","null"]},
"suffix":{"type":["string","null"],"maxLength":64},"seed":{"type":["integer","null"]},
"metadata":{"type":["object","null"],"maxProperties":16,"additionalProperties":{"type":"string"}},
"hyperparameters":{"type":["object","null"]},"method":{"type":["object","null"]},
"integrations":{"type":["array","null"],"maxItems":0}}})";

struct NewJob {
  TrainingJob job;
  std::string suffix;
  std::string idempotency_key;  ///< empty: none
  std::string request;          ///< stands for the body: equal bodies have the same
};

/// The job that a body asks for, but for its id and what follows from its files. `key` is the id of the caller's key.
/// With `all_options` the body may have the options of `qing train` by name. Refusal, which names the field.
NewJob read_new_job(const Service& service, const std::string& body, const std::string& key, bool all_options);

}  // namespace qing::serve::protocols
