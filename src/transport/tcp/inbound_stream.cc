#include "src/transport/tcp/inbound_stream.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/transport/tcp/address.h"

namespace baton::transport::tcp {

namespace {

bool fits(const RegisteredBuffer& buffer, std::uint32_t page, std::uint64_t offset_bytes,
          std::uint64_t length_bytes) {
  const std::size_t page_bytes = buffer.page_bytes();
  return page < buffer.page_count() && length_bytes <= page_bytes &&
         offset_bytes <= page_bytes - length_bytes;
}

}  // namespace

bool PageAccess::allows(const PeerId& writer, const WriteHeader& write) const {
  return fits(*buffer, write.page, write.offset_bytes, write.length_bytes) &&
         guard->may_write(writer, write.page, write.generation, write.offset_bytes,
                          write.length_bytes);
}

bool PageAccess::allows(const PeerId& reader, const ReadHeader& read) const {
  return fits(*buffer, read.page, read.offset_bytes, read.length_bytes) &&
         guard->may_read(reader, read.page, read.generation, read.offset_bytes, read.length_bytes);
}

InboundStream::InboundStream(Reactor& reactor, const TcpOptions& options, UniqueFd fd,
                             const PeerId& writer, PageAccess& pages, Ended ended)
    : options_(options),
      writer_(writer),
      pages_(pages),
      ended_(std::move(ended)),
      socket_(reactor, std::move(fd), EPOLLIN, [this](std::uint32_t events) { on_ready(events); }),
      pulse_(reactor, options,
             {.beat = [this] { beat(); }, .give_up = [this](const Status& why) { end(why); }}) {
  tune(socket_.fd(), options_);
}

void InboundStream::on_ready(std::uint32_t /*events*/) {
  Status status = receive_slice();
  if (status.ok()) {
    status = send_slice();
  }
  if (!status.ok()) {
    end(status);
  }
}

void InboundStream::close() {
  if (answers_.has_reads() && socket_.fd()) {
    reset_on_close(socket_.fd());  // What the kernel still holds of the answers is discarded.
  }
  socket_.close();
}

void InboundStream::end(const Status& why) {
  close();
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
    ++pages_.stats->broken_streams;
    log::warning("tcp: peer {} sent {}", writer_.brief(), std::string(frame.status().message()));
    return frame.status();
  }
  if (const auto* write = std::get_if<WriteHeader>(&*frame)) {
    return start_write(*write);
  }
  if (const auto* end = std::get_if<EndOfBatch>(&*frame)) {
    return take_end(*end);
  }
  if (const auto* read = std::get_if<ReadHeader>(&*frame)) {
    return take_read(*read);
  }
  ++pages_.stats->heartbeats;
  return absl::OkStatus();
}

Status InboundStream::start_write(const WriteHeader& write) {
  if (!pages_.allows(writer_, write)) {
    return reject(write);
  }
  write_ = write;
  return absl::OkStatus();
}

Status InboundStream::take_end(const EndOfBatch& end) {
  if (end.sequence != last_placed_ + 1) {
    ++pages_.stats->broken_streams;
    return absl::DataLossError(
        fmt::format("batch {} ends after batch {}", end.sequence, last_placed_));
  }
  last_placed_ = end.sequence;
  answers_.acknowledge(last_placed_);
  return absl::OkStatus();
}

Status InboundStream::take_read(const ReadHeader& read) {
  Status taken = answers_.push(read);
  if (!taken.ok()) {
    ++pages_.stats->broken_streams;
  }
  return taken;
}

StatusOr<std::size_t> InboundStream::receive_payload(std::size_t max_bytes) {
  WriteHeader piece = write_;
  piece.length_bytes = std::min<std::uint64_t>(piece.length_bytes, max_bytes);
  // Grants can end between two pieces. The guard runs on this loop, so none ends inside recv().
  if (!pages_.allows(writer_, piece)) {
    return reject(piece);
  }
  auto got = socket_.receive(
      pages_.buffer->page(piece.page).subspan(piece.offset_bytes, piece.length_bytes));
  if (!got.ok()) {
    return got.status();
  }
  write_.offset_bytes += *got;
  write_.length_bytes -= *got;
  return got;
}

Status InboundStream::reject(const WriteHeader& write) {
  ++pages_.stats->rejected_writes;
  const std::string what = fmt::format(
      "a write to page {} (generation {}, offset {}, {} bytes) outside the writer's grants",
      write.page, write.generation, write.offset_bytes, write.length_bytes);
  log::warning("tcp: peer {} tried {}; its connection is closed", writer_.brief(), what);
  return absl::PermissionDeniedError(what);
}

Status InboundStream::check_read(const ReadHeader& read) {
  if (pages_.allows(writer_, read)) {
    return absl::OkStatus();
  }
  ++pages_.stats->rejected_reads;
  const std::string what = fmt::format(
      "a read of page {} (generation {}, offset {}, {} bytes) that the peer has no right to",
      read.page, read.generation, read.offset_bytes, read.length_bytes);
  log::warning("tcp: peer {} tried {}; its connection is closed", writer_.brief(), what);
  return absl::PermissionDeniedError(what);
}

Status InboundStream::send_slice() {
  for (std::size_t left_bytes = options_.slice_bytes; left_bytes > 0 && answers_.has_unsent();) {
    const auto pieces = answers_.gather(
        left_bytes, *pages_.buffer, [this](const ReadHeader& read) { return check_read(read); });
    if (!pieces.ok()) {
      return pieces.status();
    }
    const auto sent = socket_.send(*pieces);
    if (!sent.ok()) {
      return sent.status();
    }
    if (*sent == 0) {
      break;
    }
    pulse_.said();
    answers_.advance(*sent);
    left_bytes -= *sent;
  }
  socket_.want(answers_.has_unsent() ? EPOLLIN | EPOLLOUT : EPOLLIN);
  return absl::OkStatus();
}

void InboundStream::beat() {
  // Anything unsent will do as well, and a peer that does not take it has the next turn.
  if (!answers_.has_unsent()) {
    answers_.push_heartbeat();
    send_slice().IgnoreError();  // A broken socket becomes ready, and then says so.
  }
}

}  // namespace baton::transport::tcp
