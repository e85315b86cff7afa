#include "body_stream.h"

#include <utility>

namespace qing::serve {

void BodyStream::write(std::string_view piece) {
  const std::lock_guard lock(mutex_);
  if (closed_ || pieces_.ended) return;
  pieces_.bytes += piece;
  if (wake_) wake_();
}

void BodyStream::end() {
  const std::lock_guard lock(mutex_);
  pieces_.ended = true;
  if (wake_) wake_();
}

bool BodyStream::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void BodyStream::attach(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
  if (!pieces_.bytes.empty() || pieces_.ended) wake_();
}

BodyStream::Pieces BodyStream::take() {
  const std::lock_guard lock(mutex_);
  return {std::exchange(pieces_.bytes, {}), pieces_.ended};
}

void BodyStream::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  wake_ = nullptr;
}

}  // namespace qing::serve
