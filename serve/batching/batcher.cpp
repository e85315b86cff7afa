#include "batcher.h"

#include <algorithm>
#include <initializer_list>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <qing/tensor/allocator.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::serve {
namespace {

using Status = BatchResult::Status;
using Seconds = std::chrono::duration<double>;

// Interval of the search for requests past their deadline, which takes time linear in the queue.
constexpr auto kSweepTime = std::chrono::milliseconds(20);
// Memory for batches that was unused for this long is returned to the system.
constexpr auto kTrimTime = std::chrono::seconds(10);
// A key gets at least this many tokens of a batch before the next key is served.
constexpr size_t kQuantumTokens = 256;
// Compute threads yield to I/O, so that health routes and refusals stay fast when all cores compute.
constexpr int kComputeNiceness = 5;

void lower_priority() {
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  const int now = ::getpriority(PRIO_PROCESS, thread);
  ::setpriority(PRIO_PROCESS, thread, now + kComputeNiceness);  // may be refused: then all threads have equal priority
}

void count(const BatchJob& job, Counter ModelStatistics::*counter) {
  if (job.request.statistics) ++(job.request.statistics.get()->*counter);
}

void count_end(const BatchJob& job, Status status) {
  switch (status) {
    case Status::kExpired: return count(job, &ModelStatistics::expired);
    case Status::kCancelled: return count(job, &ModelStatistics::cancelled);
    case Status::kRefused: return count(job, &ModelStatistics::refused);
    case Status::kFailed: return count(job, &ModelStatistics::failed);
    case Status::kDone:
    case Status::kStopped: return;
  }
}

void finish(BatchJob& job, Status status) {
  BatchResult result;
  result.status = status;
  if (status == Status::kDone) {
    result.predictions = std::move(job.predictions);
    if (job.failed) {
      result.error = job.error;
      result.failed_text = job.failed_text;
    }
    result.status = job.gone()    ? Status::kCancelled
                    : job.expired ? Status::kExpired
                    : job.failed  ? Status::kFailed
                                  : Status::kDone;
  }
  count_end(job, result.status);
  const auto done = std::move(job.done);
  done(std::move(result));
}

// Counts one finished text. The last one finishes the job.
void finish_text(BatchJob& job) {
  if (job.unfinished.fetch_sub(1) == 1) finish(job, Status::kDone);
}

// The error of a request is that of its first text which failed, whatever worker was faster.
void fail_text(BatchJob& job, size_t index, const std::exception_ptr& error) {
  {
    const std::lock_guard lock(job.failing);
    if (!job.failed || index < job.failed_text) {
      job.error = error;
      job.failed_text = index;
    }
    job.failed = true;
  }
  finish_text(job);
}

}  // namespace

size_t compute_workers(const Limits& limits) {
  return limits.compute_workers > 0 ? limits.compute_workers : static_cast<size_t>(num_threads());
}

Batcher::Batcher(const Limits& limits)
    : limits_(limits), cache_(limits.cache_bytes), queue_(limits.queue_texts, limits.queue_tokens) {
  const std::initializer_list<std::pair<const char*, size_t>> positive = {{"queue_texts", limits.queue_texts},
                                                                          {"queue_tokens", limits.queue_tokens},
                                                                          {"batch_texts", limits.batch_texts},
                                                                          {"batch_tokens", limits.batch_tokens}};
  for (const auto& [name, value] : positive) {
    if (value == 0) throw ValueError(fmt::format("Batcher: {} is 0; it must be positive", name));
  }
  for (size_t i = 0; i < compute_workers(limits); ++i) workers_.push_back(start_thread([this] { work(); }));
}

Batcher::~Batcher() { stop(); }

bool Batcher::submit(std::shared_ptr<const nn::TextClassifier> classifier, std::vector<std::string> texts,
                     Clock::time_point deadline, Done done) {
  BatchRequest request;
  request.classifier = std::move(classifier);
  request.texts = std::move(texts);
  request.deadline = deadline;
  return submit(std::move(request), std::move(done));
}

bool Batcher::submit(BatchRequest request, Done done) {
  const auto job = std::make_shared<BatchJob>();
  job->request = std::move(request);
  job->done = std::move(done);
  job->queued = Clock::now();
  job->unfinished = job->request.texts.size();
  job->predictions.resize(job->request.texts.size());
  if (job->request.texts.empty()) {
    finish(*job, Status::kDone);
    return true;
  }
  BatchQueue::Pushed pushed{false, {}};
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) pushed = queue_.push(job);
  }
  if (pushed.admitted) wake_.notify_one();
  count(*job, pushed.admitted ? &ModelStatistics::requests : &ModelStatistics::refused);
  for (const JobPointer& out : pushed.pushed_out) finish(*out, Status::kRefused);
  return pushed.admitted;
}

bool Batcher::would_admit(const nn::TaskModel* model, const std::string& key) {
  const std::lock_guard lock(mutex_);
  return queue_.would_admit({false, model}, key);
}

void Batcher::stop() {
  std::vector<JobPointer> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left = queue_.remove_all();
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) {
    if (worker.joinable()) worker.join();
  }
  for (const JobPointer& job : left) finish(*job, Status::kStopped);
}

void Batcher::work() {
  lower_priority();
  // Each batch gets its share of the threads instead of all, because waking a second thread costs more than small
  // products gain from it.
  const ThreadLimit limit(std::max(1, num_threads() / static_cast<int>(compute_workers(limits_))));
  Batch batch;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!wait_for_work(lock, batch)) break;
    fill(lock, batch);
    if (!queue_.empty()) wake_.notify_one();
    if (batch.empty()) continue;
    const auto begin = Clock::now();
    lock.unlock();
    compute(batch);
    lock.lock();
    queue_.charge(batch.lane, Seconds(Clock::now() - begin).count());
  }
}

// Returns false after the batcher has stopped and all work is done.
bool Batcher::wait_for_work(std::unique_lock<std::mutex>& lock, const Batch& batch) {
  const auto ready = [&] { return stopping_ || !queue_.empty() || !batch.rest.empty(); };
  while (!wake_.wait_for(lock, kTrimTime, ready)) trim_memory();
  return !queue_.empty() || !batch.rest.empty();
}

void Batcher::fill(std::unique_lock<std::mutex>& lock, Batch& batch) {
  auto texts = std::exchange(batch.rest, {});
  auto encodings = std::exchange(batch.rest_encodings, {});
  batch.tokens = 0;
  batch.most_tokens = share();
  for (size_t i = 0; i < texts.size(); ++i) add(batch, std::move(texts[i]), std::move(encodings[i]));
  sweep(lock);
  trim_memory();
  while (batch.rest.empty() && !batch.work.job && !queue_.empty()) {
    if (batch.texts.empty()) batch.lane = queue_.next();
    const size_t left = batch.most_tokens - std::min(batch.most_tokens, batch.tokens);
    if (!has_room(batch, 1)) break;
    const std::vector<BatchSlice> slices = queue_.take(batch.lane, std::min(left, kQuantumTokens), batch.texts.empty());
    if (slices.empty()) break;
    // Tokenizing long texts takes a while, and submit() must not wait for it.
    lock.unlock();
    for (const BatchSlice& slice : slices) encode(slice, batch);
    lock.lock();
  }
}

// Finishes requests that are expired or cancelled. The queue may change while the lock is released.
void Batcher::sweep(std::unique_lock<std::mutex>& lock) {
  const auto now = Clock::now();
  if (now - swept_ < kSweepTime) return;
  swept_ = now;
  const std::vector<JobPointer> dead = queue_.remove_dead(now);
  if (dead.empty()) return;
  lock.unlock();
  for (const JobPointer& job : dead) finish(*job, job->gone() ? Status::kCancelled : Status::kExpired);
  lock.lock();
}

void Batcher::trim_memory() {
  const auto now = Clock::now();
  if (now - trimmed_ < kTrimTime) return;
  trimmed_ = now;
  trim_cached_memory();
}

// Returns a worker's share of the queued tokens, at least kQuantumTokens.
size_t Batcher::share() const {
  const size_t workers = compute_workers(limits_);
  return std::min(limits_.batch_tokens, std::max(kQuantumTokens, (queue_.tokens() + workers - 1) / workers));
}

bool Batcher::has_room(const Batch& batch, size_t tokens) const {
  return batch.texts.empty() ||
         (batch.texts.size() < limits_.batch_texts && batch.tokens + tokens <= batch.most_tokens);
}

void Batcher::encode(const BatchSlice& slice, Batch& batch) {
  BatchJob& job = *slice.job;
  const BatchRequest& request = job.request;
  const auto now = Clock::now();
  if (slice.begin == 0 && request.statistics) {
    request.statistics->queue_seconds.observe(Seconds(now - job.queued).count());
  }
  if (slice.begin == 0 && request.deadline < now) job.expired = true;
  for (size_t i = slice.begin; i < slice.end; ++i) {
    if (job.gone() || job.expired) {
      finish_text(job);
      continue;
    }
    if (request.work) {
      batch.work = {slice.job, i};
      continue;  // such a slice has only one text
    }
    if (request.shared) {
      add(batch, {slice.job, i, request.costs[i]}, {});
      continue;
    }
    if (auto known = cache_.find(request.classifier, request.texts[i])) {
      job.predictions[i] = std::move(*known);
      count(job, &ModelStatistics::cached);
      finish_text(job);
      continue;
    }
    try {
      nn::EncodedText encoding = request.classifier->encode(request.texts[i]);
      const size_t tokens = encoding.ids.size();
      add(batch, {slice.job, i, tokens}, std::move(encoding));
    } catch (...) { fail_text(job, i, std::current_exception()); }
  }
}

void Batcher::add(Batch& batch, Batch::Text text, nn::EncodedText encoding) {
  const size_t tokens = text.tokens;
  const bool fits = batch.rest.empty() && has_room(batch, tokens);
  (fits ? batch.texts : batch.rest).push_back(std::move(text));
  (fits ? batch.encodings : batch.rest_encodings).push_back(std::move(encoding));
  if (fits) batch.tokens += tokens;
}

void Batcher::compute(Batch& batch) {
  if (batch.work.job) return run_work(std::exchange(batch.work, {nullptr, 0}));
  const auto begin = Clock::now();
  const std::shared_ptr<ModelStatistics> statistics = batch.texts.front().job->request.statistics;
  const auto texts = std::exchange(batch.texts, {});
  const auto encodings = std::exchange(batch.encodings, {});
  const bool shared = texts.front().job->request.shared != nullptr;
  std::vector<std::exception_ptr> errors;
  size_t tokens = batch.tokens;
  if (shared) {
    errors = run_shared(texts);
    tokens = 0;
    for (const auto& [job, index, _] : texts) tokens += static_cast<size_t>(job->predictions[index].tokens);
  }
  if (statistics) {
    ++statistics->batches;
    statistics->texts += texts.size();
    statistics->tokens += tokens;
    statistics->batch_texts.observe(static_cast<double>(texts.size()));
    statistics->batch_tokens.observe(static_cast<double>(tokens));
  }
  if (!shared) predict(texts, encodings);
  for (size_t i = 0; i < errors.size(); ++i) {
    BatchJob& job = *texts[i].job;
    errors[i] ? fail_text(job, texts[i].index, errors[i]) : finish_text(job);
  }
  if (statistics) statistics->compute_seconds.observe(Seconds(Clock::now() - begin).count());
}

void Batcher::predict(const std::vector<Batch::Text>& texts, std::span<const nn::EncodedText> encodings) {
  const nn::TextClassifier& classifier = *texts.front().job->request.classifier;
  std::vector<nn::Prediction> predictions;
  try {
    predictions = classifier.predict_encoded(encodings);
    if (predictions.size() != texts.size()) {
      throw ShapeError(
          fmt::format("TextClassifier::predict_encoded: {} predictions for {} texts; there must be one per text",
                      predictions.size(), texts.size()));
    }
  } catch (...) {
    if (texts.size() == 1) { return fail_text(*texts.front().job, texts.front().index, std::current_exception()); }
    // One text must not make the others fail. Each is computed alone, and only the failing text's request gets the
    // error.
    for (size_t i = 0; i < texts.size(); ++i) predict({texts[i]}, encodings.subspan(i, 1));
    return;
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    BatchJob& job = *texts[i].job;
    if (cache_.enabled()) cache_.insert(job.request.classifier, job.request.texts[texts[i].index], predictions[i]);
    job.predictions[texts[i].index] = std::move(predictions[i]);
    finish_text(job);
  }
}

// Computes texts of shared works. Returns the error of each text that failed; the others have their tokens.
std::vector<std::exception_ptr> Batcher::run_shared(std::span<const Batch::Text> texts) {
  std::vector<SharedWork::Text> works;
  for (const Batch::Text& text : texts) works.push_back({text.job->request.shared.get(), text.index});
  try {
    const std::vector<std::int32_t> tokens = works.front().work->run(works);
    if (tokens.size() != texts.size()) {
      throw ShapeError(fmt::format("SharedWork::run: {} results for {} texts; there must be one per text",
                                   tokens.size(), texts.size()));
    }
    for (size_t i = 0; i < texts.size(); ++i) texts[i].job->predictions[texts[i].index].tokens = tokens[i];
    return std::vector<std::exception_ptr>(texts.size());
  } catch (...) {
    if (texts.size() == 1) return {std::current_exception()};
  }
  std::vector<std::exception_ptr> errors;
  for (size_t i = 0; i < texts.size(); ++i) errors.push_back(run_shared(texts.subspan(i, 1)).front());
  return errors;
}

void Batcher::run_work(const Batch::Text& text) {
  BatchJob& job = *text.job;
  const auto begin = Clock::now();
  std::exception_ptr error;
  try {
    job.predictions[text.index] = job.request.work(text.index);
  } catch (...) { error = std::current_exception(); }
  if (job.request.statistics) job.request.statistics->compute_seconds.observe(Seconds(Clock::now() - begin).count());
  error ? fail_text(job, text.index, error) : finish_text(job);
}

}  // namespace qing::serve
