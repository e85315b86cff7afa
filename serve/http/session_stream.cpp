// The part of a session that sends a body piece by piece.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/http/session.h>

namespace qing::serve {

// Pieces may come from any thread, and are sent by this one.
void Session::begin_stream(std::shared_ptr<BodyStream> stream) {
  state_ = State::kStreaming;
  deadline_ = Clock::time_point::max();
  stream_body_ = std::move(stream);
  largest_piece_ = 0;
  stream_body_->attach([this, weak = weak_from_this()] {
    owner_.run_later([weak] {
      if (const auto self = weak.lock(); self && self->state_ == State::kStreaming) self->take_pieces();
    });
  });
  if (owner_.draining() && stream_body_->farewell().empty()) end_stream();
}

// RFC 9112, 7.1.
void Session::add_piece(std::string_view bytes) {
  if (bytes.empty()) return;  // an empty chunk would be the last one
  if (chunked_) out_ += fmt::format("{:x}\r\n", bytes.size());
  out_ += bytes;
  if (chunked_) out_ += "\r\n";
}

void Session::take_pieces() {
  const BodyStream::Pieces pieces = stream_body_->take();
  largest_piece_ = std::max(largest_piece_, pieces.bytes.size());
  add_piece(pieces.bytes);
  if (pieces.ended) end_stream();
  flush();
  // What the client had no time to take yet may be a whole piece.
  if (state_ == State::kStreaming && out_.size() - out_begin_ > BodyStream::kMostBytes + largest_piece_) close();
}

void Session::end_stream() {
  stream_body_->close();
  stream_body_ = nullptr;
  release_body();
  if (chunked_) out_ += "0\r\n\r\n";
  state_ = State::kWriting;
  deadline_ = Clock::now() + owner_.limits().idle_time;
}

}  // namespace qing::serve
