#include <qing/optim/parallel/communicator.h>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::optim {

void Communicator::exchange(std::span<const Outgoing> out, std::span<const Incoming> in) {
  const auto check = [this](int peer) {
    if (peer >= 0 && peer < size_ && peer != rank_) return;
    throw ValueError(fmt::format("exchange: rank {} of {} has no peer {}", rank_, size_, peer));
  };
  int64_t bytes = 0;
  for (const Outgoing& message : out) {
    check(message.to);
    bytes += static_cast<int64_t>(message.bytes.size());
  }
  for (const Incoming& message : in) check(message.from);
  transfer(out, in);
  bytes_sent_ += bytes;
}

}  // namespace qing::optim
