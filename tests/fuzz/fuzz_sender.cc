// Whatever a receiver answers on both ports: the sender lives, its put, its read and its open
// request end exactly once, its staging comes back (P5, P6, P8), and an honest receiver is served
// as ever.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "tests/fuzz/hostile_peer.h"

namespace baton::fuzz {
namespace {

using testing::ReceiverNode;
using testing::SenderNode;
using testing::World;

/// Lets everybody write anywhere, and answers what it is told to.
class Impostor final : private transport::PageGuard {
 public:
  Impostor(World& world, const Epoch& sender) : world_(world), sender_(sender) {
    buffer_ = *RegisteredBuffer::create(128, kPages);
    transport_ = std::make_unique<transport::LoopbackTransport>(world.hub, hostile_epoch());
    require(transport_->attach(*buffer_).ok(), "a buffer");
    transport_->set_guard(this);
    require(transport_->expect_peer(sender).ok(), "a ticket");  // loopback-1
    init_ = *world.network.bind_server(
        address().init_endpoint, [this](const control::Route& from, std::string_view payload) {
          understood(payload);
          init_route_ = from;
        });
    alloc_ = *world.network.bind_server(
        address().alloc_endpoint, [this](const control::Route& from, std::string_view payload) {
          understood(payload);
          alloc_route_ = from;
        });
  }
  ~Impostor() override {
    transport_->close();
    world_.scheduler.run_ready();
    transport_->join();
  }

  static sender::Address address() { return {"inproc://impostor-init", "inproc://impostor-alloc"}; }

  void act(const Step& step) {
    switch (step.action) {
      case Action::kSayOnInit:
        static_cast<void>(init_->send(init_route_, fill_in(step.bytes, sender_)));
        break;
      case Action::kSayOnAlloc:
        static_cast<void>(alloc_->send(alloc_route_, fill_in(step.bytes, sender_)));
        break;
      case Action::kLetTimePass:
        world_.scheduler.run_for(time_of(step));
        break;
      case Action::kBreakConnection:
        world_.hub.break_connection(sender_, hostile_epoch(),
                                    absl::UnavailableError(std::string("on purpose")));
        break;
    }
    world_.scheduler.run_for(kReaction);
  }

 private:
  bool may_write(const Epoch& /*writer*/, std::uint32_t /*page*/, std::uint64_t /*generation*/,
                 std::uint64_t /*offset_bytes*/, std::uint64_t /*length_bytes*/) const override {
    return true;
  }
  bool may_read(const Epoch& /*reader*/, std::uint32_t /*page*/, std::uint64_t /*generation*/,
                std::uint64_t /*offset_bytes*/, std::uint64_t /*length_bytes*/) const override {
    return true;
  }

  World& world_;
  const Epoch sender_;
  std::unique_ptr<RegisteredBuffer> buffer_;
  std::unique_ptr<transport::LoopbackTransport> transport_;
  std::unique_ptr<control::Server> init_;
  std::unique_ptr<control::Server> alloc_;
  control::Route init_route_;
  control::Route alloc_route_;
};

/// Two chunks put, one read, and a request of three opened, which waits for the staging of the put;
/// given back at once. Both at the impostor.
struct Work {
  Work(World& world, SenderNode& sender)
      : state(std::make_shared<detail::PutState>(world.scheduler)),
        read_state(std::make_shared<detail::ReadState>(world.scheduler)) {
    sender::PutSpec spec = sender.spec("put", 0, 2);
    spec.on_key_done = [this](const std::string& key, const Status& /*status*/) {
      keys_done.push_back(key);
    };
    sender->submit(Impostor::address(), std::move(spec), state);
    sender::ReadSpec read;
    read.req_id = "read";
    read.keys = testing::tiny_keys(20, 1);
    read.objects = sender.chunks(20, 1);
    read.timeout = std::chrono::seconds(30);
    read.on_key_done = [this](const std::string& /*key*/, const Status& /*status*/) {
      ++times_read;
    };
    sender->submit_read(Impostor::address(), std::move(read), read_state);
    sender->open({Impostor::address(),
                  {"open", 0},
                  testing::tiny_keys(10, 3),
                  0,
                  std::chrono::seconds(20),
                  /*in_place=*/true},
                 [this](const auto& /*staging*/) { ++times_opened; });
  }
  void check_ended() const {
    require(state->done(), "the put ended");
    require(keys_done == testing::tiny_keys(0, 2), "each key was called back once, in order");
    require(read_state->done() && times_read == 1, "the read ended, and its key was called back");
    require(times_opened == 1, "the open request was answered once");
  }

  std::shared_ptr<detail::PutState> state;
  std::shared_ptr<detail::ReadState> read_state;
  std::vector<std::string> keys_done;
  int times_opened = 0;
  int times_read = 0;
};

void check_alive(World& world, SenderNode& sender) {
  ReceiverNode honest(world, "honest", kPages);
  const auto put = sender.submit(honest, sender.spec("honest", 900, 2));
  require(world.scheduler.run_until([&] { return put->done(); }), "a put ends");
  require(put->status().ok(), "an honest receiver is served");
  require(honest.claim("honest", testing::tiny_keys(900, 2)).ok(), "and its chunks are there");
}

void run(std::string_view input) {
  World world({.maps_pages = true});
  sender::Config config = SenderNode::default_config();
  config.pages_ahead = 2;
  SenderNode sender(world, kPages, config);
  Work work(world, sender);
  {
    Impostor impostor(world, sender.epoch());
    world.scheduler.run_for(kReaction);
    for (const Step& step : parse_script(input)) {
      impostor.act(step);
    }
    world.scheduler.run_for(std::chrono::minutes(2));
  }
  world.scheduler.run_for(std::chrono::minutes(1));
  work.check_ended();
  const auto staging = sender.staging().counts();
  require(staging.free == kPages && staging.reserved == 0, "all staging is free");
  check_alive(world, sender);
}

}  // namespace
}  // namespace baton::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  baton::fuzz::set_up_once();
  baton::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
