#include <qing/serve/tasks/translation/translation_scheduler.h>

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include <qing/serve/common/estimated_tokens.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::serve::translation {

using Status = TranslationOutcome::Status;

namespace {

// The last token may end within a character, which a decoder of bytes shows as U+FFFD until the next token is there.
std::string without_half_characters(std::string text) {
  constexpr std::string_view kUnknown = "\xEF\xBF\xBD";
  while (text.ends_with(kUnknown)) text.resize(text.size() - kUnknown.size());
  return text;
}

// Each report has the whole text so far. Of a long one so few are told that all of them have a bounded multiple of its
// bytes, not their square.
bool is_worth_telling(size_t bytes, size_t told) {
  constexpr size_t kShort = 2048, kParts = 16;
  return bytes < kShort || bytes >= told + told / kParts;
}

}  // namespace

// A text of a request, from its first piece to its last.
struct TranslationScheduler::Text {
  nn::TranslationPlan plan;
  std::vector<nn::DecodedSequence> done;
  std::vector<bool> ended = {};    // of each piece: a translation may have no tokens
  size_t begun = 0, finished = 0;  // pieces
  // For clients that read along: the first piece that has not ended, and the translation of those before it.
  size_t open = 0;
  std::string so_far = {};
  size_t told = 0;  // bytes of the last report
};

struct TranslationScheduler::Running {
  TranslationJob job;
  std::map<size_t, Text> texts = {};  // that have begun and not ended
  size_t next_text = 0, ended_texts = 0;
  std::int64_t rows = 0;  // hypotheses that have a place
  TranslationOutcome outcome = {};
  bool ended = false;

  bool has_more() const {
    return !ended && (next_text < job.texts.size() || std::ranges::any_of(texts, [](const auto& each) {
                        return each.second.begun < each.second.plan.pieces.size();
                      }));
  }
};

struct TranslationScheduler::Place {
  Running* running;
  size_t text, piece;
};

struct TranslationScheduler::Lane {
  explicit Lane(std::shared_ptr<const nn::Translator> model)
      : translator(std::move(model)), decoder(translator->model()) {}
  std::shared_ptr<const nn::Translator> translator;  // outlives the decoder
  nn::TranslationDecoder decoder;
  std::map<std::int64_t, Place> places;  // by the decoder's numbers
  std::int64_t rows = 0;
};

TranslationScheduler::TranslationScheduler(const SchedulerLimits& limits)
    : limits_(limits), thread_(start_thread([this] { run(); })) {}

TranslationScheduler::~TranslationScheduler() { stop(); }

void TranslationScheduler::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

TranslationScheduler::Waiting TranslationScheduler::waiting_for(const nn::TaskModel* model) const {
  const auto found = waiting_.find(model);
  return found == waiting_.end() ? Waiting{} : found->second;
}

bool TranslationScheduler::submit(TranslationJob job, size_t most_waiting_texts, size_t most_waiting_tokens) {
  const nn::TaskModel* const model = job.translator.get();
  size_t tokens = 0;
  for (const std::string& text : job.texts) tokens += estimated_tokens(text);
  {
    const std::lock_guard lock(mutex_);
    const Waiting now = waiting_for(model);
    if (stopping_ || now.texts + job.texts.size() > most_waiting_texts || now.tokens + tokens > most_waiting_tokens) {
      return false;
    }
    waiting_[model] = {now.texts + job.texts.size(), now.tokens + tokens};
    incoming_.push_back(std::move(job));
  }
  wake_.notify_all();
  return true;
}

bool TranslationScheduler::would_admit(const nn::TaskModel* model, size_t most_waiting_texts,
                                       size_t most_waiting_tokens) const {
  const std::lock_guard lock(mutex_);
  const Waiting now = waiting_for(model);
  return !stopping_ && now.texts < most_waiting_texts && now.tokens < most_waiting_tokens;
}

void TranslationScheduler::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !incoming_.empty() || !running_.empty(); });
    take_incoming();
    const bool stops = stopping_;
    lock.unlock();
    if (stops) {
      for (Running& each : running_) end(each, Status::kStopped);
      running_.clear();
      return;
    }
    drop_lost();
    for (auto& [model, lane] : lanes_) {
      admit(lane);
      step(lane);
    }
    remove_ended();
    lock.lock();
  }
}

void TranslationScheduler::take_incoming() {
  for (TranslationJob& job : incoming_) {
    lanes_.try_emplace(job.translator.get(), job.translator);
    running_.push_back({.job = std::move(job)});
  }
  incoming_.clear();
}

// Ends the requests that nobody waits for, and those that are late.
void TranslationScheduler::drop_lost() {
  const auto now = std::chrono::steady_clock::now();
  for (Running& each : running_) {
    if (each.ended) continue;
    if (each.job.left()) {
      end(each, Status::kLeft);
    } else if (now > each.job.deadline) {
      end(each, Status::kExpired);
    }
  }
  remove_ended();
}

void TranslationScheduler::end(Running& running, Status status, std::exception_ptr error) {
  if (running.ended) return;
  running.ended = true;
  for (auto& entry : lanes_) {
    Lane& lane = entry.second;
    std::erase_if(lane.places, [&](const auto& each) {
      if (each.second.running != &running) return false;
      lane.decoder.cancel(each.first);
      lane.rows -= running.job.options.beam_size;
      return true;
    });
  }
  {
    const std::lock_guard lock(mutex_);
    Waiting& waiting = waiting_[running.job.translator.get()];
    for (; running.next_text < running.job.texts.size(); ++running.next_text) {
      --waiting.texts;
      waiting.tokens -= estimated_tokens(running.job.texts[running.next_text]);
    }
  }
  running.outcome.status = status;
  running.outcome.error = std::move(error);
  if (status != Status::kDone) running.outcome.translations.clear();
  running.job.on_end(std::move(running.outcome));
}

void TranslationScheduler::remove_ended() {
  std::erase_if(running_, [](const Running& each) { return each.ended; });
  std::erase_if(lanes_, [this](const auto& lane) {
    return std::ranges::none_of(running_, [&](const Running& each) { return each.job.translator.get() == lane.first; });
  });
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [](const auto& each) { return each.second.texts == 0; });
}

// The request whose turn it is: of the key, and then of those of the key the one, with the fewest places.
TranslationScheduler::Running* TranslationScheduler::next_for(const Lane& lane) {
  std::map<std::string, std::int64_t> of_key;
  for (const Running& each : running_) of_key[each.job.key] += each.rows;
  Running* best = nullptr;
  const auto rank = [&](const Running& each) { return std::tuple(of_key[each.job.key], each.rows); };
  for (Running& each : running_) {
    if (each.job.translator != lane.translator || !each.has_more()) continue;
    if (best == nullptr || rank(each) < rank(*best)) best = &each;
  }
  return best;
}

void TranslationScheduler::admit(Lane& lane) {
  while (Running* const next = next_for(lane)) {
    const bool room =
        lane.rows + next->job.options.beam_size <= limits_.rows && lane.decoder.bytes() < limits_.cache_bytes;
    if (!room && lane.rows > 0) return;
    try {
      if (!begin_piece(lane, *next)) continue;
    } catch (...) { end(*next, Status::kFailed, std::current_exception()); }
  }
}

// Gives the next piece of a request a place. False when its next text has no words, so that no piece began.
bool TranslationScheduler::begin_piece(Lane& lane, Running& running) {
  const auto open = std::ranges::find_if(
      running.texts, [](const auto& each) { return each.second.begun < each.second.plan.pieces.size(); });
  size_t number = 0;
  if (open != running.texts.end()) {
    number = open->first;
  } else {
    number = running.next_text++;
    {
      const std::lock_guard lock(mutex_);
      Waiting& waiting = waiting_[running.job.translator.get()];
      --waiting.texts;
      waiting.tokens -= estimated_tokens(running.job.texts[number]);
    }
    if (running.outcome.translations.empty()) running.outcome.translations.resize(running.job.texts.size());
    Text text{.plan = lane.translator->plan(running.job.texts[number], running.job.direction, running.job.options),
              .done = {}};
    text.done.resize(text.plan.pieces.size());
    const bool empty = text.plan.pieces.empty();
    running.texts.emplace(number, std::move(text));
    if (empty) {
      finish_text(running, number);
      return false;
    }
  }
  Text& text = running.texts.at(number);
  const size_t piece = text.begun++;
  const std::vector<std::int32_t>& ids = text.plan.pieces[piece].ids;
  running.outcome.tokens += std::ssize(ids);
  const std::int64_t id = lane.decoder.add({ids, text.plan.options});
  lane.places.emplace(id, Place{&running, number, piece});
  lane.rows += running.job.options.beam_size;
  running.rows += running.job.options.beam_size;
  return true;
}

void TranslationScheduler::step(Lane& lane) {
  if (lane.places.empty()) return;
  try {
    lane.decoder.step();
    for (nn::DecodingResult& result : lane.decoder.finished()) {
      const auto found = lane.places.find(result.id);
      if (found == lane.places.end()) continue;  // of a request that an earlier result has ended
      const Place place = found->second;
      lane.places.erase(found);
      lane.rows -= place.running->job.options.beam_size;
      place.running->rows -= place.running->job.options.beam_size;
      take_result(*place.running, place, std::move(result));
    }
    report_tokens(lane);
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    for (Running& each : running_) {
      if (each.job.translator == lane.translator) end(each, Status::kFailed, error);
    }
  }
}

void TranslationScheduler::take_result(Running& running, const Place& place, nn::DecodingResult result) {
  if (running.ended) return;
  if (!result.error.empty()) {
    return end(running, Status::kFailed, std::make_exception_ptr(ValueError(result.error)));
  }
  Text& text = running.texts.at(place.text);
  text.done[place.piece] = std::move(result.sequences.front());
  text.ended.resize(text.done.size());
  text.ended[place.piece] = true;
  while (running.job.on_token && text.open < text.done.size() && text.ended[text.open]) {
    const nn::TranslationPlan::Piece& piece = text.plan.pieces[text.open];
    piece.append_to(text.so_far, running.job.translator->tokenizer().decode(text.done[text.open].tokens));
    ++text.open;
  }
  if (++text.finished == text.plan.pieces.size()) finish_text(running, place.text);
}

void TranslationScheduler::finish_text(Running& running, size_t number) {
  const auto found = running.texts.find(number);
  nn::Translation translation = running.job.translator->join(found->second.plan, found->second.done);
  running.texts.erase(found);
  running.outcome.tokens += translation.tokens;
  if (running.job.on_text) running.job.on_text(number, translation);
  running.outcome.translations[number] = std::move(translation);
  if (++running.ended_texts == running.job.texts.size()) end(running, Status::kDone);
}

// The beginning of each text, to the end of its first piece that is being written.
void TranslationScheduler::report_tokens(Lane& lane) {
  for (const auto& [id, place] : lane.places) {
    const TranslationJob& job = place.running->job;
    if (!job.on_token || job.options.beam_size != 1) continue;
    Text& text = place.running->texts.at(place.text);
    if (place.piece != text.open) continue;
    const std::string piece = without_half_characters(lane.translator->tokenizer().decode(lane.decoder.progress(id)));
    if (!is_worth_telling(text.so_far.size() + piece.size(), text.told)) continue;
    std::string so_far = text.so_far;
    text.plan.pieces[text.open].append_to(so_far, piece);
    text.told = so_far.size();
    job.on_token(place.text, so_far);
  }
}

}  // namespace qing::serve::translation
