#include "batch_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <qing/serve/common/estimated_tokens.h>

namespace qing::serve {
namespace {

// Updates the gauges when work joins (sign 1) or leaves (sign -1) the queue.
void count(const BatchJob& job, int sign, int requests, size_t texts, size_t tokens) {
  ModelStatistics* statistics = job.request.statistics.get();
  if (statistics == nullptr) return;
  statistics->queued_requests += std::int64_t{sign} * requests;
  statistics->queued_texts += sign * static_cast<std::int64_t>(texts);
  statistics->queued_tokens += sign * static_cast<std::int64_t>(tokens);
}

size_t estimate(const std::string& text, std::int32_t max_length) {
  return std::min(static_cast<size_t>(std::max(max_length, 2)), estimated_tokens(text));
}

}  // namespace

size_t BatchQueue::tokens_of(const BatchRequest& request, size_t begin, size_t end) {
  size_t tokens = 0;
  if (!request.costs.empty()) {
    for (size_t i = begin; i < end; ++i) tokens += request.costs[i];
    return tokens;
  }
  const std::int32_t most = request.classifier->max_length();
  for (size_t i = begin; i < end; ++i) tokens += estimate(request.texts[i], most);
  return tokens * request.work_cost;
}

bool BatchQueue::has_room(const Requests& lane, size_t texts, size_t tokens) {
  return lane.texts + texts <= lane.most_texts && lane.tokens + tokens <= lane.most_tokens;
}

// Evicts requests of keys that have queued more than the new request's key will have, newest first. Evicts none if that
// would not make enough room. Started requests stay.
bool BatchQueue::make_room(Requests& lane, const Flow& flow, size_t texts, size_t tokens,
                           std::vector<JobPointer>& out) {
  struct Other {
    Flow* flow;
    size_t tokens;     // without the evicted requests
    size_t going = 0;  // number of its newest requests to evict
    const BatchJob* next() const {
      return going == flow->jobs.size() ? nullptr : flow->jobs[flow->jobs.size() - 1 - going].get();
    }
  };
  if (has_room(lane, texts, tokens)) return true;
  std::vector<Other> others;
  for (auto& [key, other] : lane.flows) {
    if (&other != &flow && !other.jobs.empty()) others.push_back({&other, other.tokens});
  }
  size_t texts_then = lane.texts + texts, tokens_then = lane.tokens + tokens;
  while (texts_then > lane.most_texts || tokens_then > lane.most_tokens) {
    Other* longest = nullptr;
    for (Other& other : others) {
      const bool removable = other.next() != nullptr && other.next()->taken == 0;
      if (removable && (longest == nullptr || other.tokens > longest->tokens)) longest = &other;
    }
    if (longest == nullptr || longest->tokens <= flow.tokens + tokens) return false;
    const BatchRequest& request = longest->next()->request;
    const size_t gone = tokens_of(request, 0, request.texts.size());
    texts_then -= request.texts.size();
    tokens_then -= gone;
    longest->tokens -= gone;
    ++longest->going;
  }
  for (const Other& other : others) {
    for (size_t i = 0; i < other.going; ++i) push_out(lane, *other.flow, out);
  }
  return true;
}

// Removes the newest request of a key.
void BatchQueue::push_out(Requests& lane, Flow& flow, std::vector<JobPointer>& out) {
  const JobPointer job = flow.jobs.back();
  leave(lane, flow, *job, 0, job->request.texts.size());
  flow.jobs.pop_back();
  if (flow.jobs.empty()) lane.order.erase(flow.place);
  --queued_;
  out.push_back(job);
}

BatchQueue::Pushed BatchQueue::push(const JobPointer& job) {
  const BatchRequest& request = job->request;
  const size_t texts = request.texts.size(), tokens = tokens_of(request, 0, texts);
  const auto [place, fresh] = lanes_.try_emplace({request.background, request.lane()});
  Requests& lane = place->second;
  if (lane.order.empty()) lane.served = std::max(lane.served, floor_);
  lane.most_texts = std::min(most_texts_, request.queue_texts);
  lane.most_tokens = std::min(most_tokens_, request.queue_tokens);
  Pushed pushed{true, {}};
  Flow& flow = lane.flows[request.key];
  // A request larger than the whole queue is refused before it evicts others.
  const bool possible = texts <= lane.most_texts && tokens <= lane.most_tokens;
  pushed.admitted = possible && make_room(lane, flow, texts, tokens, pushed.pushed_out);
  if (!pushed.admitted) return pushed;
  if (flow.jobs.empty()) {
    flow.served = std::max(flow.served, lane.floor);
    flow.place = lane.order.emplace(flow.served, &flow);
  }
  flow.jobs.push_back(job);
  flow.texts += texts;
  flow.tokens += tokens;
  lane.texts += texts;
  lane.tokens += tokens;
  tokens_ += tokens;
  ++queued_;
  count(*job, 1, 1, texts, tokens);
  return pushed;
}

bool BatchQueue::would_admit(const Lane& id, const std::string& key) const {
  const auto found = lanes_.find(id);
  if (found == lanes_.end() || has_room(found->second, 1, 1)) return true;
  const auto& flows = found->second.flows;
  const auto own = flows.find(key);
  const size_t queued = own == flows.end() ? 0 : own->second.tokens;
  return std::any_of(flows.begin(), flows.end(), [&](const auto& flow) {
    return flow.second.tokens > queued + 1 && !flow.second.jobs.empty() && flow.second.jobs.back()->taken == 0;
  });
}

void BatchQueue::leave(Requests& lane, Flow& flow, const BatchJob& job, size_t begin, size_t end) {
  const size_t texts = end - begin, tokens = tokens_of(job.request, begin, end);
  flow.texts -= texts;
  flow.tokens -= tokens;
  lane.texts -= texts;
  lane.tokens -= tokens;
  tokens_ -= tokens;
  count(job, -1, end == job.request.texts.size() ? 1 : 0, texts, tokens);
}

BatchQueue::Lane BatchQueue::next() const {
  const std::pair<const Lane, Requests>* best = nullptr;
  for (const auto& lane : lanes_) {
    if (lane.second.order.empty()) continue;
    const bool sooner = best == nullptr || (best->first.first && !lane.first.first) ||
                        (best->first.first == lane.first.first && lane.second.served < best->second.served);
    if (sooner) best = &lane;
  }
  return best->first;
}

std::vector<BatchSlice> BatchQueue::take(const Lane& id, size_t tokens, bool work) {
  std::vector<BatchSlice> slices;
  const auto found = lanes_.find(id);
  if (found == lanes_.end() || found->second.order.empty()) return slices;
  Requests& lane = found->second;
  Flow& flow = *lane.order.begin()->second;
  if (!id.first) floor_ = std::max(floor_, lane.served);
  lane.floor = flow.served;
  size_t budget = tokens;
  while (!flow.jobs.empty() && (slices.empty() || budget > 0)) {
    const JobPointer job = flow.jobs.front();
    const BatchRequest& request = job->request;
    if (request.work && (!work || !slices.empty())) break;
    const size_t begin = job->taken;
    size_t used = 0, end = begin;
    while (end < request.texts.size() && (end == begin || (used < budget && !request.work))) {
      used += tokens_of(request, end, end + 1);
      ++end;
    }
    leave(lane, flow, *job, begin, end);
    flow.served += static_cast<double>(used);
    budget -= std::min(budget, used);
    job->taken = end;
    slices.push_back({job, begin, end});
    if (end == request.texts.size()) {
      flow.jobs.pop_front();
      --queued_;
    } else if (request.work && flow.jobs.size() > 1) {
      std::swap(flow.jobs[0], flow.jobs[1]);
    }
    if (request.work) break;
  }
  lane.order.erase(flow.place);
  if (!flow.jobs.empty()) flow.place = lane.order.emplace(flow.served, &flow);
  return slices;
}

void BatchQueue::charge(const Lane& id, double seconds) {
  const auto found = lanes_.find(id);
  if (found != lanes_.end()) found->second.served += seconds;
}

std::vector<JobPointer> BatchQueue::remove_dead(BatchClock::time_point now) {
  std::vector<JobPointer> dead;
  for (auto& [id, lane] : lanes_) {
    for (auto& [key, flow] : lane.flows) {
      if (flow.jobs.empty()) continue;
      const auto alive = [now](const JobPointer& job) {
        return job->taken > 0 || (job->request.deadline >= now && !job->gone());
      };
      const auto end = std::stable_partition(flow.jobs.begin(), flow.jobs.end(), alive);
      for (auto job = end; job != flow.jobs.end(); ++job) {
        const size_t texts = (*job)->request.texts.size();
        leave(lane, flow, **job, 0, texts);
        --queued_;
        dead.push_back(*job);
      }
      flow.jobs.erase(end, flow.jobs.end());
      if (flow.jobs.empty()) lane.order.erase(flow.place);
    }
  }
  remove_idle();
  return dead;
}

// Removes keys and models without requests as soon as a new entry would start with the same or more service.
void BatchQueue::remove_idle() {
  for (auto lane = lanes_.begin(); lane != lanes_.end();) {
    auto& flows = lane->second.flows;
    for (auto flow = flows.begin(); flow != flows.end();) {
      const bool idle = flow->second.jobs.empty() && flow->second.served <= lane->second.floor;
      flow = idle ? flows.erase(flow) : std::next(flow);
    }
    const bool idle = lane->second.order.empty() && lane->second.served <= floor_;
    lane = idle ? lanes_.erase(lane) : std::next(lane);
  }
}

std::vector<JobPointer> BatchQueue::remove_all() {
  std::vector<JobPointer> all;
  for (auto& [id, lane] : lanes_) {
    for (auto& [key, flow] : lane.flows) {
      for (const JobPointer& job : flow.jobs) {
        const size_t begin = job->taken, end = job->request.texts.size();
        count(*job, -1, 1, end - begin, tokens_of(job->request, begin, end));
        all.push_back(job);
      }
    }
  }
  lanes_.clear();
  queued_ = tokens_ = 0;
  return all;
}

}  // namespace qing::serve
