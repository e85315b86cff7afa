// The part of a session that makes responses and writes what is to be sent.
#include <utility>

#include <qing/serve/http/session.h>

namespace qing::serve {

void Session::refuse(HttpResponse response) { respond(std::move(response), false); }

void Session::respond(HttpResponse response, bool keep) {
  owner_.finished(routed_, response.status, begun_ == Clock::time_point{} ? Clock::duration{} : Clock::now() - begun_);
  keep_ = keep && parser_ && parser_->keep_alive() && !owner_.closing() && !(input_ended_ && in_.empty());
  chunked_ = response.stream && !parser_->http_1_0();
  keep_ = keep_ && (!response.stream || chunked_);
  write_head(response, keep_);
  const bool with_body = !parser_ || !parser_->is_head();
  if (with_body && !response.stream) out_ += response.body;
  if (with_body && response.source) {
    source_left_ = response.source->size();
    source_ = std::move(response.source);
  }
  routed_ = {};
  cancelled_ = nullptr;
  if (!response.stream) release_body();  // a stream may be made of the request until its end
  // Further requests of the input may be answered before anything is written.
  state_ = keep_ && !source_ ? State::kIdle : State::kWriting;
  deadline_ = Clock::now() + owner_.limits().idle_time;
  if (!response.stream) return;
  if (!with_body) {
    release_body();
    return response.stream->close();
  }
  add_piece(response.body);
  begin_stream(std::move(response.stream));
}

void Session::write_head(const HttpResponse& response, bool keep) {
  const bool old = parser_ && parser_->http_1_0();
  const auto field = [this](std::string_view name, std::string_view value) {
    out_.append(name).append(": ").append(value).append("\r\n");
  };
  out_ += old ? "HTTP/1.0 " : "HTTP/1.1 ";
  out_.append(std::to_string(response.status)).append(" ").append(reason_phrase(response.status)).append("\r\n");
  field("Date", owner_.date());
  if (!response.content_type.empty()) field("Content-Type", response.content_type);
  field("X-Content-Type-Options", "nosniff");
  if (!routed_.request_id.empty()) field("X-Request-Id", routed_.request_id);
  if (!routed_.traceparent.empty()) field("traceparent", routed_.traceparent);
  for (const auto& [name, value] : routed_.fields) field(name, value);
  for (const auto& [name, value] : response.headers) field(name, value);
  if (!keep) field("Connection", "close");
  if (keep && old) field("Connection", "keep-alive");
  // A 204 has neither a body nor its length (RFC 9110, 8.6).
  if (response.stream) {
    if (chunked_) field("Transfer-Encoding", "chunked");
  } else if (response.status != 204) {
    field("Content-Length", std::to_string(response.source ? response.source->size() : response.body.size()));
  }
  out_ += "\r\n";
}

void Session::flush() {
  while (out_begin_ < out_.size()) {
    const Stream::Result result = stream_.write(out_.data() + out_begin_, out_.size() - out_begin_);
    if (result.status == Stream::Status::kEnded || result.status == Stream::Status::kFailed) return close();
    if (result.status == Stream::Status::kDone) {
      out_begin_ += result.bytes;
      continue;
    }
    if (state_ == State::kIdle || state_ == State::kWriting || state_ == State::kStreaming) {
      if (state_ == State::kIdle) state_ = State::kWriting;
      if (!std::exchange(write_timed_, true)) deadline_ = Clock::now() + owner_.limits().write_time;
    }
    if (result.status == Stream::Status::kWantRead) return wait_readable();
    return wait_writable();
  }
  out_begin_ = 0;
  out_.size() > kWriteBytes ? void(out_ = std::string()) : out_.clear();
  written();
}

// All output is on its way: what comes next depends on what the session was doing.
void Session::written() {
  write_timed_ = false;
  if (state_ == State::kStreaming) {
    deadline_ = Clock::time_point::max();
    // A client that has ended its direction is silent. Only sending a piece shows whether it is still there.
    return input_ended_ || input_waits_ ? void() : wait_readable();
  }
  if (passing_ || sourcing_) return;
  if (source_ && source_left_ > 0) return read_source();
  source_.reset();
  if (state_ == State::kWriting) {
    if (!keep_) return linger();
    state_ = State::kIdle;
    deadline_ = Clock::now() + owner_.limits().idle_time;
  }
  if (state_ == State::kIdle) {
    if (owner_.draining() && in_.empty()) return close();
    if (out_.capacity() > 0 && in_.empty()) out_ = std::string();
    if (!in_.empty() && in_ != "\r") {
      owner_.run_later([self = shared_from_this()] {
        if (self->state_ == State::kIdle) self->advance();
      });
      return;
    }
  }
  if (input_ended_) {
    // Half a request will not become a whole one.
    if (state_ != State::kComputing) close();
    return;
  }
  if (std::exchange(input_waits_, false) && state_ != State::kComputing) {
    return owner_.run_later([self = shared_from_this()] {
      if (self->state_ == State::kIdle || self->state_ == State::kReading) self->read();
    });
  }
  wait_readable();
}

// Closing with input unread resets the connection, and the client might lose the response: read on for a moment.
void Session::linger() {
  state_ = State::kLingering;
  deadline_ = Clock::now() + owner_.limits().linger_time;
  stream_.end_writing();
  wait_readable();
}

}  // namespace qing::serve
