#include "answer_log.h"

#include <algorithm>

namespace qing::serve {

std::chrono::microseconds AnswerLog::system_time() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch());
}

size_t LoggedAnswer::texts() const {
  switch (problem) {
    case nn::Problem::multi_label: return ends.size();
    case nn::Problem::regression: return values.size();
    default: return predicted.size();
  }
}

std::span<const std::int32_t> LoggedAnswer::labels_of(size_t text) const {
  const std::span<const std::int32_t> all = predicted;
  if (problem == nn::Problem::regression) return {};
  if (problem != nn::Problem::multi_label) return all.subspan(text, 1);
  const auto begin = static_cast<size_t>(text == 0 ? 0 : ends[text - 1]);
  return all.subspan(begin, static_cast<size_t>(ends[text]) - begin);
}

void AnswerLog::add(const std::string& project, const std::string& request, const std::string& model,
                    std::int64_t version, const std::vector<std::string>& labels,
                    std::span<const nn::Prediction> predictions, nn::Problem problem) {
  const std::lock_guard lock(mutex_);
  // The clock may stand still or be set back.
  last_ = std::max(last_ + 1, clock_().count());
  LoggedAnswer answer{.model = model,
                      .version = version,
                      .answered = last_,
                      .problem = problem,
                      .labels = shared(model, version, labels)};
  for (const nn::Prediction& prediction : predictions) {
    if (problem == nn::Problem::regression) {
      answer.values.push_back(prediction.value);
    } else if (problem == nn::Problem::multi_label) {
      answer.predicted.insert(answer.predicted.end(), prediction.labels.begin(), prediction.labels.end());
      answer.ends.push_back(static_cast<std::int32_t>(answer.predicted.size()));
    } else {
      answer.predicted.push_back(prediction.label);
    }
  }
  Key key(project, request);
  labels_ += answer.size();
  LoggedAnswer& place = answers_[key];
  labels_ -= place.size();
  place = std::move(answer);
  order_.emplace_back(last_, std::move(key));
  forget_old(last_);
}

std::optional<LoggedAnswer> AnswerLog::find(const std::string& project, const std::string& request) {
  const std::lock_guard lock(mutex_);
  forget_old(std::max(last_, clock_().count()));
  const auto found = answers_.find({project, request});
  return found == answers_.end() ? std::nullopt : std::optional(found->second);
}

// Bounds the places in the order rather than the answers, since an answer that was replaced has several.
void AnswerLog::forget_old(std::int64_t now) {
  const std::int64_t oldest = now - std::chrono::microseconds(bounds_.time).count();
  while (!order_.empty() &&
         (order_.size() > bounds_.answers || labels_ > bounds_.labels || order_.front().first < oldest)) {
    const auto found = answers_.find(order_.front().second);
    if (found != answers_.end() && found->second.answered == order_.front().first) {
      labels_ -= found->second.size();
      answers_.erase(found);
    }
    order_.pop_front();
  }
}

// One copy of the names for all answers of a version.
std::shared_ptr<const std::vector<std::string>> AnswerLog::shared(const std::string& model, std::int64_t version,
                                                                  const std::vector<std::string>& labels) {
  std::weak_ptr<const std::vector<std::string>>& known = names_[{model, version}];
  auto names = known.lock();
  if (!names || *names != labels) {
    names = std::make_shared<const std::vector<std::string>>(labels);
    known = names;
  }
  return names;
}

}  // namespace qing::serve
