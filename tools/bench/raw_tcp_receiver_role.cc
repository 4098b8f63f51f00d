// raw_tcp's receiver: a thread for each of some streams, and one for all of as many others.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "tools/bench/failed.h"
#include "tools/bench/loopback_socket.h"
#include "tools/bench/raw_tcp.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

using namespace raw_tcp;

class RawTcpReceiver final : public Role {
 public:
  explicit RawTcpReceiver(const Json& arguments)
      : buffer_(checked(RegisteredBuffer::create(arguments.at("chunk_bytes").get<std::size_t>(),
                                                 arguments.at("chunks").get<std::uint32_t>()),
                        "can't make a buffer")),
        listener_(listen_on_loopback()) {
    // Ends with the process.
    std::thread([this] {
      for (std::uint32_t i = 0; i < kMaxStreams; ++i) {
        std::thread([this, socket = accept_one(listener_)] { serve(socket.get()); }).detach();
      }
      std::vector<UniqueFd> sockets;
      for (std::uint32_t i = 0; i < kMaxStreams; ++i) {
        sockets.push_back(accept_one(listener_));
      }
      serve_all(sockets);
    }).detach();
  }
  Json started() override { return {{"port", listener_.port}}; }
  Json call(const std::string& op, const Json& /*arguments*/) override {
    if (op == "nothing") {
      return Json::object();
    }
    throw Failed("raw_tcp's receiver knows no " + op);
  }

 private:
  void serve(int socket) {
    Share share;
    const char there = 1;
    while (read_all(socket, &share, sizeof share, true) &&
           read_all(socket, buffer_->data() + share.offset, share.bytes, share.whole_reads == 1)) {
      if (::send(socket, &there, 1, MSG_NOSIGNAL) != 1) {
        return;
      }
    }
  }

  /// One thread, whatever is there of each in turn.
  void serve_all(const std::vector<UniqueFd>& sockets) {
    struct Stream {
      Share share;
      std::size_t left = 0;  // of the share
    };
    std::array<Stream, kMaxStreams> streams;
    bool is_gone = false;
    const auto read_some = [&](int socket, Stream& stream) {
      if (stream.left == 0) {
        const ssize_t got = ::recv(socket, &stream.share, sizeof stream.share, MSG_DONTWAIT);
        is_gone = is_gone || (got >= 0 ? got != sizeof stream.share : !must_wait(got));
        stream.left = got > 0 ? stream.share.bytes : 0;
        return got > 0;
      }
      std::byte* const to =
          buffer_->data() + stream.share.offset + stream.share.bytes - stream.left;
      const ssize_t got = ::recv(socket, to, std::min(stream.left, kReadBytes), MSG_DONTWAIT);
      is_gone = is_gone || (got <= 0 && !must_wait(got));
      stream.left -= static_cast<std::size_t>(std::max<ssize_t>(got, 0));
      const char there = 1;
      is_gone = is_gone || (stream.left == 0 && ::send(socket, &there, 1, MSG_NOSIGNAL) != 1);
      return got > 0;
    };
    spin(
        sockets, POLLIN,
        [&] {
          bool moved = false;
          for (std::size_t i = 0; i < sockets.size(); ++i) {
            moved = read_some(sockets[i].get(), streams[i]) || moved;
          }
          return moved;
        },
        [&] { return is_gone; });
  }

  std::unique_ptr<RegisteredBuffer> buffer_;
  LoopbackListener listener_;
};

}  // namespace

std::unique_ptr<Role> make_raw_tcp_receiver(const Json& arguments) {
  return std::make_unique<RawTcpReceiver>(arguments);
}

}  // namespace baton::bench
