// One ping-pong: the least that a message and its answer cost on a channel.
#include <sys/socket.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/loopback_socket.h"
#include "tools/bench/packet_loop.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

constexpr std::size_t kBytes = 64;
using Message = std::array<char, kBytes>;

/// One end of a channel. receive() is false once the other is gone.
class Channel {
 public:
  virtual ~Channel() = default;
  virtual void send(const Message& message) = 0;
  virtual bool receive(Message& message) = 0;
};

/// Packets over a Unix socket, or (as a stream, but never more than one message is under way) TCP.
class SocketChannel final : public Channel {
 public:
  SocketChannel(UniqueFd socket, bool busy)
      : socket_(std::move(socket)), loop_(socket_.get(), busy) {}
  void send(const Message& message) override { loop_.send(message.data(), kBytes); }
  bool receive(Message& message) override { return loop_.receive(message.data(), kBytes); }

 private:
  UniqueFd socket_;
  PacketLoop loop_;
};

/// ZeroMQ as Baton's control plane uses it: DEALER with an empty delimiter, ROUTER.
class ZmqChannel final : public Channel {
 public:
  ZmqChannel(int type, bool busy)
      : busy_(busy), context_(zmq_ctx_new()), socket_(zmq_socket(context_, type)) {
    const int none = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
  }
  ~ZmqChannel() override {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  std::string bind() {
    std::array<char, 64> endpoint{};
    std::size_t bytes = endpoint.size();
    if (zmq_bind(socket_, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint.data(), &bytes) != 0) {
      throw Failed("can't bind a ZeroMQ socket");
    }
    return endpoint.data();
  }
  void connect(const std::string& endpoint) {
    if (zmq_connect(socket_, endpoint.c_str()) != 0) {
      throw Failed("can't connect a ZeroMQ socket");
    }
  }
  void send(const Message& message) override {
    if (!identity_.empty()) {
      zmq_send(socket_, identity_.data(), identity_.size(), ZMQ_SNDMORE);
    }
    zmq_send(socket_, nullptr, 0, ZMQ_SNDMORE);
    if (zmq_send(socket_, message.data(), kBytes, 0) != static_cast<int>(kBytes)) {
      throw Failed("can't send by ZeroMQ");
    }
  }
  bool receive(Message& message) override {
    std::array<char, 256> frame{};
    int more = 1;
    for (int frames = 0; more != 0; ++frames) {
      const int got = next(frame);
      if (got < 0) {
        return false;
      }
      std::size_t bytes = sizeof more;
      zmq_getsockopt(socket_, ZMQ_RCVMORE, &more, &bytes);
      if (frames == 0 && got > 0) {
        identity_.assign(frame.data(), static_cast<std::size_t>(got));
      }
    }
    std::copy_n(frame.begin(), kBytes, message.begin());
    return true;
  }

 private:
  int next(std::array<char, 256>& frame) {
    const auto begun = Clock::now();
    int got = -1;
    do {
      const bool spins = busy_ && Clock::now() - begun < kSpin;
      got = zmq_recv(socket_, frame.data(), frame.size(), spins ? ZMQ_DONTWAIT : 0);
    } while (got < 0 && (errno == EAGAIN || errno == EINTR));
    return got;
  }

  const bool busy_;
  void* context_;
  void* socket_;
  std::string identity_;  // a ROUTER's peer
};

/// Sends back what comes, on a thread of its own. Killed with its process.
class Echo final : public Role {
 public:
  explicit Echo(const Json& arguments) {
    const auto kind = arguments.at("channel").get<std::string>();
    const bool busy = arguments.at("poll") == "busy";
    if (kind == "zmq") {
      auto channel = std::make_unique<ZmqChannel>(ZMQ_ROUTER, busy);
      where_ = channel->bind();
      serve([channel = std::move(channel)]() mutable -> std::unique_ptr<Channel> {
        return std::move(channel);
      });
    } else if (kind == "unix") {
      Listener listener = listen_for_packets();
      where_ = listener.name;
      serve([listener = std::move(listener), busy]() -> std::unique_ptr<Channel> {
        UniqueFd socket(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
        return std::make_unique<SocketChannel>(std::move(socket), busy);
      });
    } else {
      LoopbackListener listener = listen_on_loopback();
      where_ = listener.port;
      serve([listener = std::move(listener), busy]() -> std::unique_ptr<Channel> {
        return std::make_unique<SocketChannel>(accept_one(listener), busy);
      });
    }
  }

  Json started() override { return {{"where", where_}}; }
  Json call(const std::string& op, const Json& /*arguments*/) override {
    if (op == "nothing") {
      return Json::object();
    }
    throw Failed("an echo knows no " + op);
  }

 private:
  template <typename Open>
  static void serve(Open open) {
    std::thread([open = std::move(open)]() mutable {
      const std::unique_ptr<Channel> channel = open();
      Message message{};
      while (channel->receive(message)) {
        channel->send(message);
      }
    }).detach();
  }

  Json where_;
};

class Ping final : public Role {
 public:
  explicit Ping(const Json& arguments) {
    const auto kind = arguments.at("channel").get<std::string>();
    const bool busy = arguments.at("poll") == "busy";
    const Json& where = arguments.at("echo").at("where");
    if (kind == "zmq") {
      auto channel = std::make_unique<ZmqChannel>(ZMQ_DEALER, busy);
      channel->connect(where.get<std::string>());
      channel_ = std::move(channel);
    } else if (kind == "unix") {
      channel_ =
          std::make_unique<SocketChannel>(connect_for_packets(where.get<std::string>()), busy);
    } else {
      channel_ =
          std::make_unique<SocketChannel>(connect_to_loopback(where.get<std::uint16_t>()), busy);
    }
  }

  Json call(const std::string& op, const Json& arguments) override {
    if (op != "pings") {
      throw Failed("a ping knows no " + op);
    }
    std::vector<double> us;
    Message message{};
    for (std::uint32_t i = 0; i < arguments.at("times").get<std::uint32_t>(); ++i) {
      const auto begun = Clock::now();
      channel_->send(message);
      if (!channel_->receive(message)) {
        throw Failed("the echo is gone");
      }
      us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
    }
    return {{"us", us}};
  }

 private:
  std::unique_ptr<Channel> channel_;
};

}  // namespace

std::unique_ptr<Role> make_echo(const Json& arguments) {
  return std::make_unique<Echo>(arguments);
}
std::unique_ptr<Role> make_ping(const Json& arguments) {
  return std::make_unique<Ping>(arguments);
}

}  // namespace baton::bench
