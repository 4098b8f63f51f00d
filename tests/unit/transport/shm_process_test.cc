// The fence between processes: stopped, killed, forked, and of another user (P3, P8).
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <memory>
#include <string>

#include "src/transport/shm/remote_mapping.h"
#include "tests/unit/transport/shm_test_peers.h"

namespace baton::transport::shm {
namespace {

/// A pipe for lines, both ways.
class Channel {
 public:
  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}
  void send(const std::string& line) const {
    ::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL);
  }
  /// Empty when the other end is gone.
  std::string receive() const {
    std::array<char, 256> line{};
    const ssize_t count = recv(socket_.get(), line.data(), line.size(), 0);
    return {line.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
  }

 private:
  UniqueFd socket_;
};

/// A process that runs `body`; killed and reaped at the end. Made before any thread.
class Child {
 public:
  explicit Child(const std::function<void(Channel&)>& body) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    UniqueFd parent_end(ends[0]);
    UniqueFd child_end(ends[1]);
    pid_ = fork();
    if (pid_ == 0) {
      parent_end.reset();
      Channel channel(std::move(child_end));
      body(channel);
      _exit(0);
    }
    channel_ = std::make_unique<Channel>(std::move(parent_end));
  }
  ~Child() { kill_and_reap(); }

  void tell(const std::string& line) const { channel_->send(line); }
  std::string hear() const { return channel_->receive(); }
  void stop() const {
    kill(pid_, SIGSTOP);
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, WUNTRACED), pid_);
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  void resume() const { kill(pid_, SIGCONT); }
  void kill_and_reap() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      pid_ = -1;
    }
  }

 private:
  pid_t pid_ = -1;
  std::unique_ptr<Channel> channel_;
};

/// A writer without a loop, driven by the parent, line by line.
class ScriptedWriter {
 public:
  ScriptedWriter(Channel& channel, const PeerId& self) : channel_(channel), self_(self) {}

  void run() {
    std::string line = channel_.receive();
    while (!line.empty()) {
      obey(line);
      channel_.send("ok");
      line = channel_.receive();
    }
  }

 private:
  void obey(const std::string& line) {
    if (line == "write") {
      *mapping_->at(0, 0) = std::byte{77};
    } else if (line == "close") {
      connection_->close();
    } else if (line == "release") {
      mapping_.reset();
      connection_->say(ReleasedPacket{});
    } else if (line == "release in a child") {
      run_in_fork([this] { connection_->say(ReleasedPacket{}); });
    } else {
      map(line);
    }
  }
  static void run_in_fork(const std::function<void()>& body) {
    const pid_t child = fork();
    if (child == 0) {
      body();
      _exit(0);
    }
    waitpid(child, nullptr, 0);
  }
  void map(const std::string& encoded_ticket) {
    const Ticket ticket = *decode_ticket(encoded_ticket);
    connection_ = std::make_unique<RawConnection>(ticket);
    connection_->apply(ticket, self_);
    Received welcome = connection_->await();
    const Geometry geometry{.page_bytes = ticket.page_bytes,
                            .file_bytes = ticket.page_bytes * ticket.page_count,
                            .page_count = ticket.page_count};
    mapping_ = *RemoteMapping::map(std::move(welcome.descriptors.at(0)), geometry);
    connection_->say(MappedPacket{});
  }

  Channel& channel_;
  const PeerId self_;
  std::unique_ptr<RawConnection> connection_;
  std::unique_ptr<RemoteMapping> mapping_;
};

class ShmProcess : public ::testing::Test {
 protected:
  // In this order: the child is forked before the receiver's loop has its thread.
  ShmProcess()
      : child_([this](Channel& channel) { ScriptedWriter(channel, writer_).run(); }),
        receiver_(std::make_unique<RealPeer>()) {}

  void SetUp() override {
    order(encode_ticket(receiver_->expect(writer_)));
    EXPECT_EQ(receiver_->await("connected", writer_), StatusCode::kOk);
  }
  void order(const std::string& line) {
    child_.tell(line);
    EXPECT_EQ(child_.hear(), "ok");
  }
  void expect_pending() {
    receiver_->settle();
    EXPECT_EQ(receiver_->count("fenced", writer_), 0);
  }
  void expect_fenced() { receiver_->await("fenced", writer_); }

  const PeerId writer_ = Epoch::random();
  Child child_;
  std::unique_ptr<RealPeer> receiver_;
};

TEST_F(ShmProcess, WritesOfAnotherProcessAppear) {
  order("write");
  EXPECT_EQ(receiver_->buffer().page(0)[0], std::byte{77});
}

TEST_F(ShmProcess, AStoppedWriterKeepsTheFencePendingUntilItIsKilled) {
  child_.stop();
  receiver_->revoke(writer_);
  expect_pending();
  child_.kill_and_reap();
  expect_fenced();
}

TEST_F(ShmProcess, AStoppedWriterThatContinuesMustStillSayItsWord) {
  child_.stop();
  receiver_->revoke(writer_);
  expect_pending();
  child_.resume();
  order("write");
  expect_pending();
  order("release");
  expect_fenced();
}

TEST_F(ShmProcess, AClosedSocketOfALivingProcessProvesNothing) {
  order("close");
  EXPECT_EQ(receiver_->await("gone", writer_), StatusCode::kUnavailable);
  receiver_->revoke(writer_);
  expect_pending();
  order("write");  // Indeed it still can.
  EXPECT_EQ(receiver_->buffer().page(0)[0], std::byte{77});
  expect_pending();
  child_.kill_and_reap();
  expect_fenced();
}

TEST_F(ShmProcess, AKilledWriterIsGoneAndFenced) {
  child_.kill_and_reap();
  EXPECT_EQ(receiver_->await("gone", writer_), StatusCode::kUnavailable);
  receiver_->revoke(writer_);
  expect_fenced();
}

TEST_F(ShmProcess, TheWordOfAForkedChildIsNotItsParents) {
  order("release in a child");
  EXPECT_EQ(receiver_->await("gone", writer_), StatusCode::kDataLoss);
  receiver_->revoke(writer_);
  expect_pending();
  child_.kill_and_reap();
  expect_fenced();
}

TEST(ShmUsers, AnotherUserIsNotLetIn) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root can become another user";
  }
  constexpr uid_t kNobody = 65534;
  Child child([](Channel& channel) {
    const Ticket ticket = *decode_ticket(channel.receive());
    if (setuid(kNobody) != 0) {
      return;
    }
    RawConnection connection(ticket);
    connection.apply(ticket, Epoch::random());
    const bool closed = connection.await_end();
    channel.send(closed ? "closed without a word" : "answered");
  });
  RealPeer receiver;
  child.tell(encode_ticket(receiver.expect(Epoch::random())));
  EXPECT_EQ(child.hear(), "closed without a word");
  EXPECT_EQ(receiver.counters().connections_refused, 1U);
}

TEST(ShmUsers, ASenderGivesNothingToAnotherUsersReceiver) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root can become another user";
  }
  constexpr uid_t kNobody = 65534;
  const Ticket ticket{.receiver = Epoch::random(),
                      .page_bytes = 4096,
                      .page_count = 1,
                      .socket_id = Epoch::random().bytes,
                      .secret = Secret::random()};
  Child child([&](Channel& channel) {
    if (setuid(kNobody) == 0) {
      const auto listening = listen_on(socket_name(ticket.socket_id));
      channel.send(listening.ok() ? "listening" : "failed");
      channel.receive();
    }
  });
  ASSERT_EQ(child.hear(), "listening");
  RealPeer sender;
  sender.connect(ticket.receiver, encode_ticket(ticket));
  EXPECT_EQ(sender.await("connect", ticket.receiver), StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace baton::transport::shm
