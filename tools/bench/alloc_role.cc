// One allocation round trip, alone: what a put says first to a real receiver, and its answer.
//
// A put can't be stopped after its allocation, so this speaks Baton's protocol itself: over its own
// connection it says hello, asks for pages for new keys, and gives them back unwritten. Timed are
// the encoding of the AllocRequest, its way, the receiver's work, the answer's way and decoding.
#include <fmt/format.h>
#include <zmq.h>

#include <array>
#include <string>
#include <utility>
#include <variant>

#include "src/backend/settings.h"
#include "src/base/epoch.h"
#include "src/base/protocol_version.h"
#include "src/wire/codec.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

/// What a sender offers for the tcp transport: docs/protocol-tcp.md. Its connection is never made.
constexpr const char* kTcpOffer = "2";

/// A DEALER that waits for its answers, as the sender's control plane has it.
class Dealer {
 public:
  Dealer(void* context, const std::string& identity, std::uint16_t port)
      : socket_(zmq_socket(context, ZMQ_DEALER)) {
    const int none = 0;
    const int limit_ms = 10'000;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms);
    zmq_setsockopt(socket_, ZMQ_ROUTING_ID, identity.data(), identity.size());
    if (zmq_connect(socket_, fmt::format("tcp://127.0.0.1:{}", port).c_str()) != 0) {
      throw Failed("can't connect to the receiver");
    }
  }
  ~Dealer() { zmq_close(socket_); }
  Dealer(const Dealer&) = delete;
  Dealer& operator=(const Dealer&) = delete;

  template <typename T>
  T ask(const wire::Message& message) {
    const std::string bytes = wire::encode(message);
    zmq_send(socket_, nullptr, 0, ZMQ_SNDMORE);
    zmq_send(socket_, bytes.data(), bytes.size(), 0);
    wire::Message answer = checked(wire::decode(receive(), {}), "an answer that can't be read");
    if (T* const wanted = std::get_if<T>(&answer)) {
      return std::move(*wanted);
    }
    throw Failed(fmt::format("the receiver answered with a {}", wire::type_name(answer)));
  }

 private:
  std::string receive() {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    std::string last;
    do {
      if (zmq_msg_recv(&frame, socket_, 0) < 0) {
        zmq_msg_close(&frame);
        throw Failed("the receiver gave no answer");
      }
      last.assign(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
    } while (zmq_msg_more(&frame) != 0);
    zmq_msg_close(&frame);
    return last;
  }

  void* socket_;
};

class Allocator final : public Role {
 public:
  explicit Allocator(const Json& arguments)
      : layout_(layout_of(arguments.at("chunk_bytes").get<std::size_t>())),
        options_(options_of(arguments, baton::Role::kSender)),
        context_(zmq_ctx_new()),
        identity_(fmt::format("baton-{}-1", epoch_.hex())),
        init_(context_, identity_ + "-init", arguments.at("init_port").get<std::uint16_t>()),
        alloc_(context_, identity_ + "-alloc", arguments.at("alloc_port").get<std::uint16_t>()) {}

  Json call(const std::string& op, const Json& arguments) override {
    if (op != "allocate") {
      throw Failed("an allocator knows no " + op);
    }
    say_hello();
    const wire::AllocRequest request = request_for(arguments);
    const auto begun = Clock::now();
    const auto response = alloc_.ask<wire::AllocResponse>(request);
    const double us = std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
    give_back(request, response);
    return {{"us", us}};
  }

 private:
  /// Before every request: a sender that never connects for data is forgotten after a while.
  void say_hello() {
    wire::NixlInitRequest request;
    request.baton = wire::encode(wire::Hello{kProtocolVersions.min,
                                             kProtocolVersions.max,
                                             epoch_,
                                             to_layout_info(layout_, options_),
                                             {{"tcp", kTcpOffer}}});
    const auto response = init_.ask<wire::NixlInitResponse>(request);
    const auto welcome =
        checked(wire::decode(response.baton.value_or(""), {}), "no answer to the hello");
    if (const auto* const met = std::get_if<wire::Welcome>(&welcome)) {
      receiver_ = met->epoch;
      return;
    }
    const auto* const refusal = std::get_if<wire::Refusal>(&welcome);
    throw Failed("the receiver refused the hello: " +
                 (refusal != nullptr ? refusal->message : "with nonsense"));
  }

  wire::AllocRequest request_for(const Json& arguments) {
    wire::AllocRequest request;
    for (const CacheEngineKey& key : keys_of(arguments.at("first").get<std::uint64_t>(),
                                             arguments.at("keys").get<std::uint64_t>())) {
      request.keys.push_back(key.to_string());
    }
    request.shape = layout_.full_chunk.shape;
    request.last_chunk_toks = options_.chunk_size;
    const auto count = static_cast<std::uint32_t>(request.keys.size());
    request.async = {fmt::format("a-{}", ++puts_), true, count};
    request.baton = {{epoch_, receiver_}, puts_, puts_};
    return request;
  }

  /// All were granted; none is going to be written.
  void give_back(const wire::AllocRequest& request, const wire::AllocResponse& response) {
    wire::DrainNotif drain{{epoch_, receiver_}, request.baton->put_id, {}, {}, 1};
    for (std::size_t i = 0; i < response.remote_indexes.size(); ++i) {
      if (response.remote_indexes[i] < 0) {
        throw Failed("a new key got no page");
      }
      drain.pages.push_back(static_cast<std::uint32_t>(response.remote_indexes[i]));
      drain.generations.push_back(response.baton->generations.at(i));
    }
    if (drain.pages.size() != request.keys.size()) {
      throw Failed("not all keys got a page: " + response.baton->message);
    }
    alloc_.ask<wire::DrainAck>(drain);
  }

  CacheLayout layout_;
  Options options_;
  Epoch epoch_ = Epoch::random();
  Epoch receiver_;
  void* context_;  // ends with the process
  std::string identity_;
  Dealer init_;
  Dealer alloc_;
  std::uint64_t puts_ = 0;
};

}  // namespace

std::unique_ptr<Role> make_allocator(const Json& arguments) {
  return std::make_unique<Allocator>(arguments);
}

}  // namespace baton::bench
