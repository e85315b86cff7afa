// The part of the service that changes what is stored, and waits for disks.
#include <exception>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/log.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/service/feedback_training.h>
#include <qing/serve/service/service.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

// The response of a task that changes what is stored, or the error that it throws.
HttpResponse changed(const std::function<HttpResponse()>& task, size_t retry_after_seconds) {
  try {
    return task();
  } catch (const Refusal& refusal) { return refusal.response(); } catch (const IndexError& error) {
    return error_response(404, "not_found", error.what());
  } catch (const OtherLabels& error) {
    return error_response(422, "other_labels", fmt::format("{}. Nothing has changed", error.what()));
  } catch (const ValueError& error) {
    return error_response(422, "unacceptable_change", error.what());
  } catch (const UnreadableVersion& error) {
    return unavailable("not_readable", fmt::format("{}; nothing has changed. Try again later", error.what()),
                       retry_after_seconds);
  } catch (const DataError& error) {
    return error_response(422, "not_loaded", fmt::format("{}; nothing has changed", error.what()));
  } catch (const IoError& error) {
    log_line("error", "change_not_written", {{"error", error.what()}});
    return error_response(
        500, "not_written",
        "the server could not read or write its files; nothing has changed. The server's log says why");
  } catch (const std::exception& error) {
    log_line("error", "change_failed", {{"error", error.what()}});
    return error_response(500, "internal", "the change failed; see the server's log");
  }
}

}  // namespace

void Service::submit(WorkThread& thread, Routed::Reply reply, std::function<HttpResponse()> task) {
  const HttpResponse stopping = unavailable("stopping", "the server is stopping", limits_.retry_after_seconds);
  *reply.deadline = Reply::TimePoint::max();  // loading may take long, and the client is told the result
  const bool queued =
      thread.submit([stopping, retry = limits_.retry_after_seconds, reply = std::move(reply),
                     task = std::move(task)](bool run) { reply(run ? changed(task, retry) : stopping); });
  if (!queued) throw Refusal(busy());
}

HttpResponse Service::busy() const {
  return unavailable("busy",
                     fmt::format("limit of {} waiting changes reached; try again later", WorkThread::kMostWaiting),
                     limits_.retry_after_seconds);
}

void Service::change_models(Routed::Reply reply, ModelChange change) {
  AuditEntry entry{.key = reply.key,
                   .project = project(reply.key),
                   .action = std::move(change.action),
                   // Another text can have any length and any bytes.
                   .object = is_model_name(change.object) ? std::move(change.object) : "",
                   .detail = std::move(change.detail)};
  submit(changes_, std::move(reply), [this, entry = std::move(entry), run = std::move(change.run)] {
    refresh_owners();
    note(entry);
    try {
      return run(*registry_);
    } catch (...) {
      AuditEntry failed = entry;
      failed.action += ".failed";
      note(failed);
      throw;
    }
  });
}

void Service::note(const AuditEntry& entry) {
  if (!state_) return;
  try {
    if (!audit_) audit_.emplace(state_->open());
  } catch (const IoError& error) {
    // Once, beside the line of each change that is refused.
    if (!audit_missing_) log_line("error", "audit_not_kept", {{"error", error.what()}});
    audit_missing_ = true;
    throw;
  }
  record(*audit_, entry);
}

void Service::start_care(std::unique_ptr<Webhook> webhook) {
  if (!state_) return;
  Caretaker::Train train;
  if (jobs_ != nullptr && jobs_->accepts_jobs()) {
    train = [this](Database& database, const RetrainingPlan& plan, const std::vector<Feedback>& feedback,
                   const Caretaker::Take& take) {
      return train_on_feedback({database, *state_, *registry_, *jobs_}, plan, feedback, take);
    };
  }
  caretaker_ = std::make_unique<Caretaker>(state_, CaretakerSources{*registry_, drift_, versions_, statistics_},
                                           std::move(webhook), std::move(train));
  caretaker_->start();
}

void Service::with_state(Routed::Reply reply, std::function<HttpResponse(Database&)> task) {
  submit_with_state(disk_, database_, std::move(reply), std::move(task));
}

void Service::store_file(Routed::Reply reply, std::function<HttpResponse(Database&)> task) {
  submit_with_state(files_, files_database_, std::move(reply), std::move(task));
}

void Service::submit_with_state(WorkThread& thread, std::optional<Database>& database, Routed::Reply reply,
                                std::function<HttpResponse(Database&)> task) {
  if (!state_) {
    throw Refusal(error_response(404, "no_state", "this server keeps no files and jobs; start it with a state folder"));
  }
  submit(thread, std::move(reply), [this, &database, task = std::move(task)] {
    if (!database) database.emplace(state_->open());
    return task(*database);
  });
}

// Called before models are looked up: a model that another server's job has made must not pass as a public one.
void Service::refresh_owners() {
  if (jobs_ != nullptr) jobs_->owners().refresh();
}

void Service::rescan() {
  changes_.submit([this](bool run) {
    const auto look = [this] {
      refresh_owners();
      return registry_->rescan(), HttpResponse();  // failures are logged
    };
    if (run && changed(look, limits_.retry_after_seconds).status != 200) log_line("error", "rescan_failed");
  });
}

}  // namespace qing::serve
