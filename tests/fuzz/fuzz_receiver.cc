// Whatever a sender says on both ports, with a data connection of its own where it was let in: the
// receiver lives, every page is accounted for after each word (P6, P8), and once that sender is
// gone all are free again, and an honest one can use them.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "tests/fuzz/hostile_peer.h"

namespace baton::fuzz {
namespace {

using testing::ReceiverNode;
using testing::SenderNode;
using testing::World;

/// Says what it is told to; connects where it is welcome, and writes zeros where it is granted.
class Intruder {
 public:
  Intruder(World& world, const ReceiverNode& receiver)
      : world_(world), receiver_(receiver.epoch()) {
    buffer_ = *RegisteredBuffer::create(128, 1);
    transport_ = std::make_unique<transport::LoopbackTransport>(world.hub, hostile_epoch());
    require(transport_->attach(*buffer_).ok(), "a buffer");
    const std::string identity = "baton-" + hostile_epoch().hex() + "-1";
    init_ = *world.network.connect_client(receiver.address().init_endpoint, identity + "-init",
                                          [this](std::string_view bytes) { on_init(bytes); });
    alloc_ = *world.network.connect_client(receiver.address().alloc_endpoint, identity + "-alloc",
                                           [this](std::string_view bytes) { on_alloc(bytes); });
  }
  ~Intruder() {
    transport_->close();
    world_.scheduler.run_ready();
    transport_->join();
  }

  void act(const Step& step) {
    switch (step.action) {
      case Action::kSayOnInit:
        static_cast<void>(init_->send(fill_in(step.bytes, receiver_)));
        break;
      case Action::kSayOnAlloc:
        static_cast<void>(alloc_->send(fill_in(step.bytes, receiver_)));
        break;
      case Action::kLetTimePass:
        world_.scheduler.run_for(time_of(step));
        break;
      case Action::kBreakConnection:
        transport_->disconnect(receiver_);
        break;
    }
    world_.scheduler.run_for(kReaction);
  }

 private:
  void on_init(std::string_view payload) {
    const auto message = understood(payload);
    const auto* response = std::get_if<wire::NixlInitResponse>(&message);
    require(response != nullptr && response->baton.has_value(), "an answer to a hello");
    const auto inner = understood(*response->baton);
    if (const auto* welcome = std::get_if<wire::Welcome>(&inner)) {
      transport_->disconnect(receiver_);
      transport_->connect(receiver_, welcome->ticket,
                          world_.scheduler.now() + std::chrono::seconds(5), [](const Status&) {});
    } else {
      require(std::holds_alternative<wire::Refusal>(inner), "a welcome or a refusal");
    }
  }
  void on_alloc(std::string_view payload) {
    const auto message = understood(payload);
    if (const auto* response = std::get_if<wire::AllocResponse>(&message)) {
      require(response->baton.has_value(), "an answer in Baton's way");
      for (std::size_t i = 0; i < response->baton->states.size(); ++i) {
        if (response->baton->states[i] == wire::KeyState::kGranted) {
          write(static_cast<std::uint32_t>(response->remote_indexes[i]),
                response->baton->generations[i]);
        }
      }
    }
  }
  void write(std::uint32_t page, std::uint64_t generation) {
    require(page < kPages, "a page that exists");
    transport_->write_batch(receiver_, {{buffer_->page(0).first(128), page, generation, 0}},
                            [](const Status&) {});
  }

  World& world_;
  const Epoch receiver_;
  std::unique_ptr<RegisteredBuffer> buffer_;
  std::unique_ptr<transport::LoopbackTransport> transport_;
  std::unique_ptr<control::Client> init_;
  std::unique_ptr<control::Client> alloc_;
};

void check_pages(ReceiverNode& receiver) {
  const auto pages = receiver.pages();
  require(receiver->audit().empty(), "the pool is as it should be");
  require(
      pages.free + pages.ahead + pages.granted + pages.held + pages.retained + pages.quarantined ==
          kPages,
      "every page is accounted for");
  require(pages.reserved <= pages.free + pages.retained, "what is promised can be given");
}

void check_all_free(World& world, ReceiverNode& receiver) {
  world.scheduler.run_for(std::chrono::minutes(6));  // What is complete waits 5 for its claim.
  check_pages(receiver);
  receiver->evict_all_retained();
  require(receiver.pages().free == kPages && receiver.pages().reserved == 0, "all pages are free");
  require(receiver->stats().requests == 0, "all requests have ended");
}

void check_alive(World& world, ReceiverNode& receiver) {
  SenderNode honest(world, 2);
  const auto put = honest.submit(receiver, honest.spec("honest", 900, 2));
  require(world.scheduler.run_until([&] { return put->done(); }), "a put ends");
  require(put->status().ok(), "an honest sender is served");
  require(receiver.claim("honest", testing::tiny_keys(900, 2)).ok(), "and its chunks are there");
}

void run(std::string_view input) {
  World world;
  ReceiverNode receiver(world, "receiver", kPages);
  {
    Intruder intruder(world, receiver);
    for (const Step& step : parse_script(input)) {
      intruder.act(step);
      check_pages(receiver);
    }
  }
  check_all_free(world, receiver);
  check_alive(world, receiver);
}

}  // namespace
}  // namespace baton::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  baton::fuzz::set_up_once();
  baton::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
