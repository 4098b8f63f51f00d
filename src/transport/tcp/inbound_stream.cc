#include "src/transport/tcp/inbound_stream.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/transport/tcp/address.h"

namespace baton::transport::tcp {

bool WriteTarget::allows(const PeerId& writer, const WriteHeader& write) const {
  const std::size_t page_bytes = buffer->page_bytes();
  return write.page < buffer->page_count() && write.length_bytes <= page_bytes &&
         write.offset_bytes <= page_bytes - write.length_bytes &&
         guard->may_write(writer, write.page, write.generation, write.offset_bytes,
                          write.length_bytes);
}

InboundStream::InboundStream(Reactor& reactor, const TcpOptions& options, UniqueFd fd,
                             const PeerId& writer, WriteTarget& target, Ended ended)
    : options_(options),
      writer_(writer),
      target_(target),
      ended_(std::move(ended)),
      socket_(reactor, std::move(fd), EPOLLIN, [this](std::uint32_t events) { on_ready(events); }),
      pulse_(reactor, options,
             {.beat = [this] { beat(); }, .give_up = [this](const Status& why) { end(why); }}) {
  tune(socket_.fd(), options_);
}

void InboundStream::on_ready(std::uint32_t /*events*/) {
  Status status = receive_slice();
  if (status.ok()) {
    status = acknowledge();
  }
  if (!status.ok()) {
    end(status);
  }
}

void InboundStream::end(const Status& why) {
  socket_.close();
  Ended ended = std::move(ended_);
  ended(why);
}

Status InboundStream::receive_slice() {
  // Headers count too: a stream of nothing but headers must not keep the loop for itself.
  for (std::size_t left_bytes = options_.slice_bytes; left_bytes > 0;) {
    const bool in_payload = write_.length_bytes > 0;
    const auto got = in_payload ? receive_payload(left_bytes) : receive_header();
    if (!got.ok()) {
      return got.status();
    }
    if (*got == 0) {
      break;
    }
    pulse_.heard();
    left_bytes -= std::min(left_bytes, *got);
  }
  return absl::OkStatus();
}

StatusOr<std::size_t> InboundStream::receive_header() {
  auto got = socket_.receive(std::span(header_).subspan(header_bytes_));
  if (!got.ok()) {
    return got.status();
  }
  header_bytes_ += *got;
  if (header_bytes_ == header_.size()) {
    header_bytes_ = 0;
    Status status = take_frame();
    if (!status.ok()) {
      return status;
    }
  }
  return got;
}

Status InboundStream::take_frame() {
  const auto frame = parse_frame(header_);
  if (!frame.ok()) {
    ++target_.stats->broken_streams;
    log::warning("tcp: peer {} sent {}", writer_.brief(), std::string(frame.status().message()));
    return frame.status();
  }
  if (const auto* write = std::get_if<WriteHeader>(&*frame)) {
    return start_write(*write);
  }
  if (const auto* end = std::get_if<EndOfBatch>(&*frame)) {
    return take_end(*end);
  }
  ++target_.stats->heartbeats;
  return absl::OkStatus();
}

Status InboundStream::start_write(const WriteHeader& write) {
  if (!target_.allows(writer_, write)) {
    return reject(write);
  }
  write_ = write;
  return absl::OkStatus();
}

Status InboundStream::take_end(const EndOfBatch& end) {
  if (end.sequence != last_placed_ + 1) {
    ++target_.stats->broken_streams;
    return absl::DataLossError(
        fmt::format("batch {} ends after batch {}", end.sequence, last_placed_));
  }
  last_placed_ = end.sequence;
  return absl::OkStatus();
}

StatusOr<std::size_t> InboundStream::receive_payload(std::size_t max_bytes) {
  WriteHeader piece = write_;
  piece.length_bytes = std::min<std::uint64_t>(piece.length_bytes, max_bytes);
  // Grants can end between two pieces. The guard runs on this loop, so none ends inside recv().
  if (!target_.allows(writer_, piece)) {
    return reject(piece);
  }
  auto got = socket_.receive(
      target_.buffer->page(piece.page).subspan(piece.offset_bytes, piece.length_bytes));
  if (!got.ok()) {
    return got.status();
  }
  write_.offset_bytes += *got;
  write_.length_bytes -= *got;
  return got;
}

Status InboundStream::reject(const WriteHeader& write) {
  ++target_.stats->rejected_writes;
  const std::string what = fmt::format(
      "a write to page {} (generation {}, offset {}, {} bytes) outside the writer's grants",
      write.page, write.generation, write.offset_bytes, write.length_bytes);
  log::warning("tcp: peer {} tried {}; its connection is closed", writer_.brief(), what);
  return absl::PermissionDeniedError(what);
}

Status InboundStream::acknowledge() {
  // One word is on its way at a time; the next acknowledgement covers all that came meanwhile.
  Status status = send_word();
  if (status.ok() && word_unsent_bytes_ == 0 && last_acknowledged_ < last_placed_) {
    last_acknowledged_ = last_placed_;
    word_ = encode_word(Acknowledgement{last_acknowledged_});
    word_unsent_bytes_ = word_.size();
    status = send_word();
  }
  return status;
}

void InboundStream::beat() {
  // An unsent word will do as well, and a peer that does not take it has the next turn.
  if (word_unsent_bytes_ == 0) {
    word_ = encode_word(Heartbeat{});
    word_unsent_bytes_ = word_.size();
  }
  send_word().IgnoreError();  // A broken socket becomes ready, and then says so.
}

Status InboundStream::send_word() {
  if (word_unsent_bytes_ > 0) {
    const auto sent = socket_.send(std::span<const std::byte>(word_).last(word_unsent_bytes_));
    if (!sent.ok()) {
      return sent.status();
    }
    word_unsent_bytes_ -= *sent;
    pulse_.said();
  }
  socket_.want(word_unsent_bytes_ > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
  return absl::OkStatus();
}

}  // namespace baton::transport::tcp
