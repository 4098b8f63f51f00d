// One allocation round trip, alone: what a put says first to a real receiver, and its answer.
//
// A put can't be stopped after its allocation, so this drives the sender's own link to a receiver,
// as a put does: handshake, data connection, heartbeats. It asks for pages for new keys, and gives
// them back unwritten. Timed on the progress thread, where a put does the same: the naming of the
// keys, the AllocRequest's encoding, its way, the receiver's work, the answer's way and decoding.
#include <fmt/format.h>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "src/backend/settings.h"
#include "src/backend/transports.h"
#include "src/base/event_loop.h"
#include "src/control/zmq/zmq_network.h"
#include "src/memory/registered_buffer.h"
#include "src/sender/peer_link.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

constexpr std::chrono::seconds kLimit{10};

class Allocator final : public Role, private transport::TransportObserver {
 public:
  explicit Allocator(const Json& arguments)
      : layout_(layout_of(arguments.at("chunk_bytes").get<std::size_t>())),
        options_(options_of(arguments, baton::Role::kSender)),
        config_(sender_config(layout_, options_, Epoch::random())),
        loop_(checked(EventLoop::create("baton"), "can't make a loop")) {
    const BufferShape shape = checked(buffer_shape(layout_, options_), "no buffer");
    buffer_ = checked(RegisteredBuffer::create(shape.page_bytes, shape.page_count), "no buffer");
    loop_->start();
    loop_->run_sync([&] {
      auto made = make_transports_on_loop(*loop_, config_.epoch, options_, 0, *buffer_);
      if (made.ok()) {
        transport_ = std::move(made->front());  // Asked for by name: there is one.
        transport_->set_observer(this);
        network_ = std::make_unique<control::ZmqNetwork>(*loop_, control::ZmqOptions{});
        make_link(arguments);
      }
      built_ = made.status();
    });
    check(built_, "can't start");
    wait_for([&](std::promise<Status>& ready) {
      answer_ = &ready;
      link_->ensure([this](const Status& status) { end(status); });
    });
  }

  ~Allocator() override {
    loop_->run_sync([&] {
      transport_->close();
      link_.reset();
      network_.reset();
    });
    loop_->stop();
    transport_->join();
  }

  Json call(const std::string& op, const Json& arguments) override {
    if (op != "allocate") {
      throw Failed("an allocator knows no " + op);
    }
    const std::vector<CacheEngineKey> keys = keys_of(arguments.at("first").get<std::uint64_t>(),
                                                     arguments.at("keys").get<std::uint64_t>());
    allocate(keys);
    const double us = std::chrono::duration<double, std::micro>(answered_ - begun_).count();
    give_back(keys.size());
    return {{"us", us}};
  }

 private:
  /// `begin` sees to it, on the loop, that the promise is kept.
  template <typename Begin>
  void wait_for(Begin begin) {
    std::promise<Status> promise;
    auto result = promise.get_future();
    loop_->run_sync([&] { begin(promise); });
    if (result.wait_for(kLimit) != std::future_status::ready) {
      loop_->run_sync([&] { answer_ = nullptr; });
      throw Failed("the receiver gave no answer");
    }
    check(result.get(), "the receiver refused");
  }

  void make_link(const Json& arguments) {
    const auto endpoint = [&](const char* port) {
      return fmt::format("tcp://127.0.0.1:{}", arguments.at(port).get<std::uint16_t>());
    };
    transport::Transport* const transports[] = {transport_.get()};
    sender::PeerLink::Callbacks callbacks;
    callbacks.check_receiver = [](const auto&, const Epoch&) { return absl::OkStatus(); };
    callbacks.list_requests = [](const auto&) { return std::vector<wire::AttemptName>(); };
    callbacks.on_message = [this](auto&, const wire::Message& message) { take(message); };
    callbacks.on_down = [this](auto&, const Status& why) { end(why); };
    link_ = std::make_unique<sender::PeerLink>(
        *loop_, *network_, transports, config_,
        sender::Address{endpoint("init_port"), endpoint("alloc_port")}, connections_,
        std::move(callbacks));
  }

  void allocate(const std::vector<CacheEngineKey>& keys) {
    wait_for([&](std::promise<Status>& answer) {
      answer_ = &answer;
      begun_ = Clock::now();
      auto texts = to_key_list(keys, layout_);
      if (!texts.ok()) {
        end(texts.status());
        return;
      }
      wire::AllocRequest request;
      request.keys = *std::move(texts);
      request.shape = layout_.full_chunk.shape;
      request.dtype = layout_.full_chunk.dtype;
      request.last_chunk_toks = options_.chunk_size;
      request.async = {fmt::format("a-{}", ++puts_), true, static_cast<std::uint32_t>(keys.size())};
      request.baton = {link_->parties(), puts_, puts_};
      send(request);
    });
  }

  /// All were granted; none is going to be written.
  void give_back(std::size_t count) {
    wire::DrainNotif drain{{}, puts_, {}, {}, 1};
    for (std::size_t i = 0; i < granted_.remote_indexes.size(); ++i) {
      if (granted_.remote_indexes[i] < 0) {
        throw Failed("a new key got no page");
      }
      drain.pages.push_back(static_cast<std::uint32_t>(granted_.remote_indexes[i]));
      drain.generations.push_back(granted_.baton->generations.at(i));
    }
    if (drain.pages.size() != count) {
      throw Failed("not all keys got a page");
    }
    wait_for([&](std::promise<Status>& answer) {
      answer_ = &answer;
      drain.parties = link_->parties();
      send(std::move(drain));
    });
  }

  void send(const wire::Message& message) {
    if (Status sent = link_->send(message); !sent.ok()) {
      end(sent);
    }
  }

  void take(const wire::Message& message) {
    if (const auto* response = std::get_if<wire::AllocResponse>(&message)) {
      answered_ = Clock::now();
      granted_ = *response;
      const auto& said = response->baton.value();
      end(said.code == 0 ? absl::OkStatus()
                         : Status(static_cast<StatusCode>(said.code), said.message));
    } else if (const auto* ack = std::get_if<wire::DrainAck>(&message)) {
      end(ack->code == 0 ? absl::OkStatus()
                         : Status(static_cast<StatusCode>(ack->code), ack->message));
    }
    // A heartbeat's answer is no news.
  }

  void end(const Status& status) {
    if (answer_ != nullptr) {
      std::exchange(answer_, nullptr)->set_value(status);
    }
  }

  void on_writer_connected(const transport::PeerId& /*peer*/) override {}
  void on_writer_gone(const transport::PeerId& /*peer*/, const Status& /*why*/) override {}
  void on_receiver_gone(const transport::PeerId& /*peer*/, const Status& why) override {
    link_->reset(why);
  }
  void on_receiver_says(const transport::PeerId& /*peer*/, std::string_view message) override {
    link_->on_lane_message(message);
  }

  const CacheLayout layout_;
  const Options options_;
  const sender::Config config_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<RegisteredBuffer> buffer_;
  std::unique_ptr<transport::Transport> transport_;
  std::unique_ptr<control::Network> network_;
  std::unique_ptr<sender::PeerLink> link_;
  Status built_;
  std::uint32_t connections_ = 0;
  std::uint64_t puts_ = 0;
  // On the loop, and while it waits.
  std::promise<Status>* answer_ = nullptr;
  wire::AllocResponse granted_;
  Clock::time_point begun_;
  Clock::time_point answered_;
};

}  // namespace

std::unique_ptr<Role> make_allocator(const Json& arguments) {
  return std::make_unique<Allocator>(arguments);
}

}  // namespace baton::bench
