// Bodies in pieces: those of requests go to a BodySink, those of responses come from a BodySource.
#include <utility>

#include "session.h"

namespace qing::serve {

// Gives the sink what has come of a body in pieces. Nothing more is read until it is asked for, so that a client that
// is faster than the disk waits. False when the next step has to wait, too.
bool Session::pass_on(bool moved) {
  if (parser_->body_size() == 0) {
    if (!parser_->done()) return moved && !in_.empty();
    run();
    return state_ == State::kIdle;
  }
  passing_ = true;
  passed_at_ = Clock::now();
  received_ += parser_->body_size();
  // The owner's sum still has the piece.
  routed_.sink->write(
      parser_->take_body(), [self = shared_from_this(), request = request_](std::optional<HttpResponse> refusal) {
        self->owner_.run_later([self, request, refusal = std::move(refusal)] { self->passed_on(request, refusal); });
      });
  return false;
}

void Session::passed_on(std::uint64_t request, std::optional<HttpResponse> refusal) {
  if (state_ != State::kReading || request != request_) return;
  passing_ = false;
  release_body();
  if (refusal) {
    refuse(std::move(*refusal));
    return flush();
  }
  // The client is given the time of a slow connection, and that in which the server did not read.
  passing_time_ += Clock::now() - passed_at_;
  const Limits& limits = owner_.limits();
  const std::chrono::duration<double> sending(static_cast<double>(received_) / static_cast<double>(limits.upload_rate));
  deadline_ = begun_ + limits.request_time + passing_time_ + std::chrono::duration_cast<Clock::duration>(sending);
  advance();
}

void Session::read_source() {
  sourcing_ = true;
  source_->read([self = shared_from_this(), request = request_](std::string piece) {
    self->owner_.run_later(
        [self, request, piece = std::move(piece)]() mutable { self->take_from_source(request, std::move(piece)); });
  });
}

void Session::take_from_source(std::uint64_t request, std::string piece) {
  if (state_ != State::kWriting || request != request_) return;
  sourcing_ = false;
  if (piece.empty() || piece.size() > source_left_) return close();  // the client sees that the body is cut
  source_left_ -= piece.size();
  deadline_ = Clock::now() + owner_.limits().write_time;
  out_ = std::move(piece);
  flush();
}

}  // namespace qing::serve
