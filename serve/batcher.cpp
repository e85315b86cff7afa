#include "batcher.h"

#include <algorithm>
#include <iterator>
#include <functional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

std::vector<nn::Prediction> checked_predict(const nn::TextClassifier& classifier, std::span<const std::string> texts) {
  std::vector<nn::Prediction> predictions = classifier.predict(texts);
  if (predictions.size() != texts.size()) {
    throw ShapeError(fmt::format("TextClassifier::predict: {} predictions for {} texts; it owes one a text",
                                 predictions.size(), texts.size()));
  }
  return predictions;
}

}  // namespace

Batcher::Batcher(std::size_t queue_texts, std::size_t batch_texts)
    : queue_texts_(queue_texts), batch_texts_(batch_texts) {
  if (queue_texts == 0 || batch_texts == 0) {
    throw ValueError(fmt::format("Batcher: queue_texts {} and batch_texts {}; both must be positive", queue_texts,
                                 batch_texts));
  }
  worker_ = std::thread([this] { work(); });
}

Batcher::~Batcher() { stop(); }

bool Batcher::submit(std::shared_ptr<const nn::TextClassifier> classifier, std::vector<std::string> texts,
                     Clock::time_point deadline, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || texts.size() > queue_texts_ - queued_texts_) return false;
    queued_texts_ += texts.size();
    auto job = std::make_shared<Job>();
    job->classifier = std::move(classifier);
    job->texts = std::move(texts);
    job->deadline = deadline;
    job->done = std::move(done);
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void Batcher::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (worker_.joinable()) worker_.join();
}

void Batcher::work() {
  for (;;) {
    std::deque<std::shared_ptr<Job>> ended;
    std::vector<Slice> batch;
    bool stopped = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      stopped = stopping_;
      if (stopped) {
        ended.swap(queue_);
        queued_texts_ = 0;
      } else {
        const auto now = Clock::now();
        // A job begun is finished: its work is not thrown away.
        const auto expired = [now](const std::shared_ptr<Job>& job) { return job->taken == 0 && job->deadline < now; };
        const auto kept = std::stable_partition(queue_.begin(), queue_.end(), std::not_fn(expired));
        std::move(kept, queue_.end(), std::back_inserter(ended));
        queue_.erase(kept, queue_.end());
        for (const auto& job : ended) queued_texts_ -= job->texts.size();
        batch = take_batch();
      }
    }
    for (const auto& job : ended) finish(*job, stopped ? BatchResult::Status::kStopped : BatchResult::Status::kExpired);
    if (stopped) return;
    compute(batch);
    for (const Slice& slice : batch) {
      if (slice.end == slice.job->texts.size()) finish(*slice.job, BatchResult::Status::kDone);
    }
  }
}

// Takes texts from the front of the queue, of one classifier, up to a batch. A job too long for the batch leaves its
// rest at the front; a job of another classifier ends the batch, so that order is kept and nothing starves.
std::vector<Batcher::Slice> Batcher::take_batch() {
  std::vector<Slice> batch;
  std::size_t room = batch_texts_;
  while (!queue_.empty()) {
    const std::shared_ptr<Job> job = queue_.front();
    if (!batch.empty() && (room == 0 || job->classifier != batch.front().job->classifier)) break;
    const std::size_t count = std::min(room, job->texts.size() - job->taken);
    batch.push_back({job, job->taken, job->taken + count});
    job->taken += count;
    room -= count;
    queued_texts_ -= count;
    if (job->taken < job->texts.size()) break;
    queue_.pop_front();
  }
  return batch;
}

void Batcher::compute(const std::vector<Slice>& batch) {
  if (batch.size() == 1) return compute_slice(batch.front());
  std::vector<std::string> texts;
  for (const Slice& slice : batch) {
    const auto begin = slice.job->texts.begin();
    std::copy(begin + static_cast<std::ptrdiff_t>(slice.begin), begin + static_cast<std::ptrdiff_t>(slice.end),
              std::back_inserter(texts));
  }
  try {
    if (batch.empty()) return;
    std::vector<nn::Prediction> predictions = checked_predict(*batch.front().job->classifier, texts);
    auto from = std::make_move_iterator(predictions.begin());
    for (const Slice& slice : batch) {
      const auto count = static_cast<std::ptrdiff_t>(slice.end - slice.begin);
      slice.job->predictions.insert(slice.job->predictions.end(), from, from + count);
      from += count;
    }
  } catch (const std::exception&) {
    // One request's texts must not fail its neighbours': each is computed alone, and only the culprit gets the error.
    for (const Slice& slice : batch) compute_slice(slice);
  }
}

void Batcher::compute_slice(const Slice& slice) {
  Job& job = *slice.job;
  if (job.error) return;
  try {
    std::vector<nn::Prediction> predictions =
        checked_predict(*job.classifier, std::span(job.texts).subspan(slice.begin, slice.end - slice.begin));
    std::move(predictions.begin(), predictions.end(), std::back_inserter(job.predictions));
  } catch (...) {
    job.error = std::current_exception();
  }
}

void Batcher::finish(Job& job, BatchResult::Status status) {
  BatchResult result;
  result.status = status;
  if (status == BatchResult::Status::kDone && job.error) {
    result.status = BatchResult::Status::kFailed;
    result.error = job.error;
  } else if (status == BatchResult::Status::kDone) {
    result.predictions = std::move(job.predictions);
  }
  const Done done = std::move(job.done);
  done(std::move(result));
}

}  // namespace qing::serve
