// What a handoff costs without Baton: allocate -> write -> notify, as lean as one would write it
// for one host. Two processes, one thread each, Unix packets of 64 bytes, epoll, a copy into the
// page.
//
// No keys to look up beyond a number, no digest, no lease, no admission, no second peer: nothing
// but the messages and the bytes. "Done" means what it means for Baton's put: the receiver has
// taken the chunk and the sender knows.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>
#include <unordered_map>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/packet_loop.h"
#include "tools/bench/role.h"
#include "tools/bench/shared_memory.h"

namespace baton::bench {
namespace {

struct Packet {
  enum class Kind : std::uint32_t { kAllocate, kPage, kNotify, kTaken };
  Kind kind;
  std::uint32_t page;
  std::uint64_t key;
  std::uint64_t bytes;
  std::array<std::uint64_t, 5> unused;  // keys of real caches are longer than a number
};
static_assert(sizeof(Packet) == 64);

/// Answers on a thread of its own, for the main thread waits for the main process.
class LoopReceiver final : public Role {
 public:
  explicit LoopReceiver(const Json& arguments)
      : busy_(arguments.at("poll") == "busy"),
        buffer_(checked(RegisteredBuffer::create(arguments.at("chunk_bytes").get<std::size_t>(),
                                                 arguments.at("chunks").get<std::uint32_t>()),
                        "can't make a buffer")),
        listener_(listen_for_packets()) {
    chunks_.reserve(2 * buffer_->page_count());
    thread_ = std::thread([this] { serve(); });
  }
  ~LoopReceiver() override {
    ::shutdown(listener_.socket.get(), SHUT_RDWR);
    thread_.join();
  }

  Json started() override {
    return {{"name", listener_.name},
            {"pid", ::getpid()},
            {"fd", buffer_->memfd()},
            {"bytes", buffer_->size_bytes()}};
  }
  Json call(const std::string& op, const Json& /*arguments*/) override {
    if (op == "nothing") {
      return Json::object();
    }
    throw Failed("an event loop's receiver knows no " + op);
  }

 private:
  void serve() {
    const UniqueFd peer(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!peer) {
      return;
    }
    PacketLoop loop(peer.get(), busy_);
    Packet packet{};
    while (loop.receive(&packet, sizeof packet)) {
      if (packet.kind == Packet::Kind::kAllocate) {
        packet.page = next_page_++ % buffer_->page_count();
        packet.kind = Packet::Kind::kPage;
      } else {
        chunks_[packet.key] = packet.page;  // from now on a decoder finds it
        packet.kind = Packet::Kind::kTaken;
      }
      loop.send(&packet, sizeof packet);
    }
  }

  const bool busy_;
  std::unique_ptr<RegisteredBuffer> buffer_;
  Listener listener_;
  std::unordered_map<std::uint64_t, std::uint32_t> chunks_;
  std::uint32_t next_page_ = 0;
  std::thread thread_;
};

class LoopSender final : public Role {
 public:
  explicit LoopSender(const Json& arguments)
      : chunk_bytes_(arguments.at("chunk_bytes").get<std::size_t>()),
        buffer_(checked(
            RegisteredBuffer::create(chunk_bytes_, arguments.at("chunks").get<std::uint32_t>()),
            "can't make a buffer")),
        pages_(arguments.at("receiver")),
        socket_(connect_for_packets(arguments.at("receiver").at("name").get<std::string>())),
        loop_(socket_.get(), arguments.at("poll") == "busy") {
    fill({buffer_->data(), buffer_->size_bytes()}, 5);
  }

  Json call(const std::string& op, const Json& arguments) override {
    if (op != "puts") {
      throw Failed("an event loop's sender knows no " + op);
    }
    std::vector<double> us;
    for (std::uint32_t i = 0; i < arguments.at("times").get<std::uint32_t>(); ++i) {
      us.push_back(put());
    }
    return {{"us", us}};
  }

 private:
  double put() {
    const auto source = buffer_->page(static_cast<std::uint32_t>(key_ % buffer_->page_count()));
    Packet packet{Packet::Kind::kAllocate, 0, ++key_, chunk_bytes_, {}};
    const auto begun = Clock::now();
    round_trip(packet, Packet::Kind::kPage);
    std::memcpy(pages_.bytes().data() + packet.page * chunk_bytes_, source.data(), chunk_bytes_);
    packet.kind = Packet::Kind::kNotify;
    round_trip(packet, Packet::Kind::kTaken);
    return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
  }

  void round_trip(Packet& packet, Packet::Kind answer) {
    loop_.send(&packet, sizeof packet);
    if (!loop_.receive(&packet, sizeof packet) || packet.kind != answer) {
      throw Failed("the event loop's receiver is gone");
    }
  }

  const std::size_t chunk_bytes_;
  std::unique_ptr<RegisteredBuffer> buffer_;
  SharedMemory pages_;
  UniqueFd socket_;
  PacketLoop loop_;
  std::uint64_t key_ = 0;
};

}  // namespace

std::unique_ptr<Role> make_loop_receiver(const Json& arguments) {
  return std::make_unique<LoopReceiver>(arguments);
}
std::unique_ptr<Role> make_loop_sender(const Json& arguments) {
  return std::make_unique<LoopSender>(arguments);
}

}  // namespace baton::bench
