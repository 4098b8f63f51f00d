// The two ends of the shm transport for tests: the real one with a record of what it reported, and
// raw ones that can break every rule.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/event_loop.h"
#include "src/base/thread_annotations.h"
#include "src/transport/shm/packet_socket.h"
#include "src/transport/shm/shm_transport.h"

namespace baton::transport::shm {

/// Longer than anything takes unless it fails.
inline constexpr auto kPatience = std::chrono::seconds(20);

/// A transport on a loop of its own.
class RealPeer final : public TransportObserver {
 public:
  static constexpr std::size_t kPageBytes = 8192;
  static constexpr std::uint32_t kPageCount = 4;

  explicit RealPeer(const ShmOptions& options = {})
      : loop_(*EventLoop::create("shm-test")),
        buffer_(*RegisteredBuffer::create(kPageBytes, kPageCount)) {
    loop_->start();
    on_loop([&] {
      transport_ = std::make_unique<ShmTransport>(*loop_, id_, options);
      EXPECT_TRUE(transport_->attach(*buffer_).ok());
      transport_->set_observer(this);
    });
  }
  ~RealPeer() override {
    on_loop([&] { transport_->close(); });
    loop_->stop();
    transport_->join();
  }

  const PeerId& id() const { return id_; }
  RegisteredBuffer& buffer() { return *buffer_; }
  EventLoop& loop() { return *loop_; }

  void on_loop(Task task) { loop_->run_sync(std::move(task)); }
  /// Everything that was ready on a descriptor before this call has been dealt with after it.
  void settle() {
    on_loop([] {});  // The loop looks at its descriptors between two tasks.
    on_loop([] {});
  }

  StatusOr<std::string> expect_peer(const PeerId& peer) {
    StatusOr<std::string> ticket = std::string();
    on_loop([&] { ticket = transport_->expect_peer(peer); });
    return ticket;
  }
  Ticket expect(const PeerId& peer) {
    const auto ticket = expect_peer(peer);
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    return *decode_ticket(*ticket);
  }
  void revoke(const PeerId& peer) {
    on_loop([&] { transport_->revoke(peer, [this, peer] { note("fenced", peer); }); });
  }
  void connect(const PeerId& receiver, const std::string& ticket, Duration time = kPatience) {
    on_loop([&] {
      transport_->connect(receiver, ticket, loop_->now() + time,
                          [this, receiver](Status status) { note("connect", receiver, status); });
    });
  }
  void write(const PeerId& receiver, std::vector<WriteOp> ops) {
    on_loop([&] {
      transport_->write_batch(receiver, std::move(ops),
                              [this, receiver](Status status) { note("write", receiver, status); });
    });
  }
  Status tell_receiver(const PeerId& receiver, std::string_view message) {
    Status status;
    on_loop([&] { status = transport_->tell_receiver(receiver, message); });
    return status;
  }
  Status tell_writer(const PeerId& writer, std::string_view message) {
    Status status;
    on_loop([&] { status = transport_->tell_writer(writer, message); });
    return status;
  }
  /// What was heard, in order. Await "heard" first.
  std::vector<std::string> heard() {
    const MutexLock lock(mutex_);
    return heard_;
  }
  void disconnect(const PeerId& receiver) {
    on_loop([&] { transport_->disconnect(receiver); });
  }
  void close() {
    on_loop([&] { transport_->close(); });
  }
  ShmCounters counters() {
    ShmCounters counters;
    on_loop([&] { counters = transport_->counters(); });
    return counters;
  }

  /// How often this was reported: "connected", "gone", "receiver gone", "fenced", "connect",
  /// "write", "heard".
  int count(const std::string& event, const PeerId& peer) {
    const MutexLock lock(mutex_);
    return static_cast<int>(events_[{event, peer}].size());
  }
  /// Waits for one more than `seen` of them; the code of the last.
  StatusCode await(const std::string& event, const PeerId& peer, std::size_t seen = 0) {
    const MutexLock lock(mutex_);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    auto& statuses = events_[{event, peer}];
    while (statuses.size() <= seen) {
      if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) {
        ADD_FAILURE() << "never came: " << event;
        return StatusCode::kInternal;
      }
    }
    return statuses.back().code();
  }

  void on_writer_connected(const PeerId& peer) override { note("connected", peer); }
  void on_writer_gone(const PeerId& peer, const Status& why) override { note("gone", peer, why); }
  void on_receiver_gone(const PeerId& peer, const Status& why) override {
    note("receiver gone", peer, why);
  }
  void on_writer_says(const PeerId& peer, std::string_view message) override {
    hear(peer, message);
  }
  void on_receiver_says(const PeerId& peer, std::string_view message) override {
    hear(peer, message);
  }

 private:
  void hear(const PeerId& peer, std::string_view message) {
    {
      const MutexLock lock(mutex_);
      heard_.emplace_back(message);
    }
    note("heard", peer);
  }
  void note(const std::string& event, const PeerId& peer, const Status& status = {}) {
    const MutexLock lock(mutex_);
    events_[{event, peer}].push_back(status);
    changed_.notify_all();
  }

  const PeerId id_ = Epoch::random();
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<RegisteredBuffer> buffer_;
  std::unique_ptr<ShmTransport> transport_;
  Mutex mutex_;
  CondVar changed_;
  std::map<std::pair<std::string, PeerId>, std::vector<Status>> events_ GUARDED_BY(mutex_);
  std::vector<std::string> heard_ GUARDED_BY(mutex_);
};

/// One end of a connection, played by hand. Waits, and says what it is told to.
class RawConnection {
 public:
  explicit RawConnection(UniqueFd socket) : socket_(std::move(socket)) {}
  /// Connects to the receiver that issued the ticket.
  explicit RawConnection(const Ticket& ticket)
      : socket_(*connect_to(socket_name(ticket.socket_id))) {}

  int get() const { return socket_.get(); }
  bool say(const Packet& packet, int passed_fd = -1) {
    return say_bytes(encode_packet(packet), passed_fd);
  }
  bool say_bytes(const std::string& bytes, int passed_fd = -1) {
    return send_packet(socket_.get(), bytes, passed_fd).ok();
  }
  /// Says hello; the answer to it, or an empty one.
  ChallengePacket greet(const HelloPacket& hello) {
    say(hello);
    const auto packet = decode_packet(await().bytes);
    const auto* challenge = packet.ok() ? std::get_if<ChallengePacket>(&*packet) : nullptr;
    return challenge != nullptr ? *challenge : ChallengePacket{};
  }
  bool prove(const HelloPacket& hello, const ChallengePacket& challenge, const Secret& secret) {
    return say(
        ProofPacket{make_proof(secret, ProofRole::kSender, proof_context(hello, challenge.nonce))});
  }
  /// Hello and the right proof; what comes of it is the next packet.
  void apply(const Ticket& ticket, const PeerId& self) {
    const HelloPacket hello{.sender = self, .receiver = ticket.receiver, .nonce = random_nonce()};
    prove(hello, greet(hello), ticket.secret);
  }
  bool wait_readable() const {
    pollfd poll_fd{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const auto patience_ms = std::chrono::milliseconds(kPatience).count();
    return poll(&poll_fd, 1, static_cast<int>(patience_ms)) == 1;
  }
  /// The next packet, or the end.
  Received await() const {
    EXPECT_TRUE(wait_readable()) << "nothing came";
    return receive_packet(socket_.get());
  }
  /// True if the next thing to come is a packet of this kind.
  template <typename Expected>
  bool await_packet() const {
    const auto packet = decode_packet(await().bytes);
    return packet.ok() && std::holds_alternative<Expected>(*packet);
  }
  bool await_refusal(RefusalReason reason) const {
    const auto packet = decode_packet(await().bytes);
    return packet.ok() && *packet == Packet(RefusedPacket{reason});
  }
  bool await_end() const { return await().kind == Received::Kind::kEnd; }
  void close() { socket_.reset(); }

 private:
  UniqueFd socket_;
};

/// Hello, proof, welcome, mapped: as far as the receiver knows, a connected writer.
inline RawConnection raw_writer(RealPeer& receiver, const Ticket& ticket, const PeerId& self) {
  RawConnection connection(ticket);
  connection.apply(ticket, self);
  EXPECT_TRUE(connection.await_packet<WelcomePacket>());
  EXPECT_TRUE(connection.say(MappedPacket{}));
  receiver.await("connected", self);
  return connection;
}

}  // namespace baton::transport::shm
