#include "src/transport/tcp/outbound_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/transport/post_done.h"
#include "src/transport/tcp/spread.h"

namespace baton::transport::tcp {

OutboundConnection::OutboundConnection(Reactor& reactor, const TcpOptions& options, Call call)
    : reactor_(reactor),
      options_(options),
      secret_(call.secret),
      connected_(std::move(call.connected)),
      ended_(std::move(call.ended)),
      deadline_timer_(reactor.run_at(call.deadline, [this, receiver = call.hello.receiver] {
        fail(absl::DeadlineExceededError(
            fmt::format("no answer from peer {} before the connect deadline", receiver.brief())));
      })) {
  Hello hello = call.hello;
  hello.streams = static_cast<std::uint16_t>(call.sockets.size());
  for (UniqueFd& socket : call.sockets) {
    hello.nonce = random_nonce();
    streams_.push_back(std::make_unique<OutboundStream>(reactor, options, std::move(socket), hello,
                                                        secret_,
                                                        static_cast<OutboundStreamOwner&>(*this)));
    ++hello.stream;
  }
}

OutboundConnection::~OutboundConnection() {
  close(absl::CancelledError(std::string("destroyed")));
}

void OutboundConnection::on_stream_open() {
  ++open_streams_;
  if (is_open()) {
    reactor_.cancel(std::exchange(deadline_timer_, kNoTimer));
    post_done(reactor_, std::exchange(connected_, nullptr), absl::OkStatus());
  }
}

void OutboundConnection::write_batch(const std::vector<WriteOp>& ops, Status verdict, Done done) {
  BatchLedger::Sequences parts;
  if (verdict.ok()) {
    parts = send(ops);
  }
  batches_.add(std::move(parts), std::move(verdict), std::move(done));
  finish_batches();
}

void OutboundConnection::read_batch(const std::vector<ReadOp>& ops, Status verdict, Done done) {
  BatchLedger::Sequences parts;
  if (verdict.ok()) {
    parts = ask_for(ops);
  }
  batches_.add(std::move(parts), std::move(verdict), std::move(done));
  finish_batches();
}

BatchLedger::Sequences OutboundConnection::send(const std::vector<WriteOp>& ops) {
  std::vector<std::uint64_t> load_bytes;
  for (const auto& stream : streams_) {
    load_bytes.push_back(stream->queue().unacknowledged_bytes());
  }
  Parts<WriteOp> parts = spread(ops, std::move(load_bytes), options_.run_bytes);
  BatchLedger::Sequences sequences(2 * streams_.size());
  for (std::size_t stream = 0; stream < parts.size(); ++stream) {
    if (!parts[stream].empty()) {
      sequences[stream] = streams_[stream]->send_part(std::move(parts[stream]));
    }
  }
  return sequences;
}

BatchLedger::Sequences OutboundConnection::ask_for(const std::vector<ReadOp>& ops) {
  std::vector<std::uint64_t> load_bytes;
  for (const auto& stream : streams_) {
    load_bytes.push_back(stream->reads().unread_bytes());
  }
  const Parts<ReadOp> parts =
      spread(ops, std::move(load_bytes), std::min(options_.run_bytes, kMaxReadBytes));
  BatchLedger::Sequences sequences(2 * streams_.size());
  for (std::size_t stream = 0; stream < parts.size(); ++stream) {
    if (!parts[stream].empty()) {
      sequences[streams_.size() + stream] = streams_[stream]->read_part(parts[stream]);
    }
  }
  return sequences;
}

void OutboundConnection::finish_batches() {
  BatchLedger::Sequences finished;
  for (const auto& stream : streams_) {
    finished.push_back(stream->queue().last_acknowledged());
  }
  for (const auto& stream : streams_) {
    finished.push_back(stream->reads().last_completed());
  }
  post(batches_.take_finished(finished));
}

void OutboundConnection::post(std::vector<BatchLedger::Finished> batches) {
  for (BatchLedger::Finished& batch : batches) {
    post_done(reactor_, std::move(batch.done), std::move(batch.status));
  }
}

void OutboundConnection::close(const Status& why) {
  reactor_.cancel(std::exchange(deadline_timer_, kNoTimer));
  for (const auto& stream : streams_) {
    stream->close();
  }
  if (connected_) {
    post_done(reactor_, std::exchange(connected_, nullptr), why);
  }
  post(batches_.abandon(why));
}

void OutboundConnection::fail(const Status& why) {
  const bool was_open = is_open();
  Ended ended = std::move(ended_);
  close(why);
  ended(why, was_open);
}

}  // namespace baton::transport::tcp
