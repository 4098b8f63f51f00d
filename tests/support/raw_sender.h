// A hand-made sender, for what real ones would never say.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "src/base/digest.h"
#include "src/base/protocol_version.h"
#include "tests/support/handoff.h"

namespace baton::testing {

/// Speaks the protocol one message at a time, and writes what it is granted.
class RawSender {
 public:
  RawSender(World& world, const ReceiverNode& receiver, VersionRange versions = {1, 1})
      : world_(world), receiver_(receiver.epoch()), epoch_(Epoch::random()), versions_(versions) {
    buffer_ = *RegisteredBuffer::create(128, 8);
    transport_ = std::make_unique<transport::LoopbackTransport>(world.hub, epoch_);
    EXPECT_TRUE(transport_->attach(*buffer_).ok());
    const auto collect = [this](std::string_view payload) {
      answers_.push_back(*wire::decode(payload, {}));
    };
    const std::string identity = "baton-" + epoch_.hex();
    init_ =
        *world.network.connect_client(receiver.address().init_endpoint, identity + "-i", collect);
    alloc_ =
        *world.network.connect_client(receiver.address().alloc_endpoint, identity + "-a", collect);
  }
  ~RawSender() {
    transport_->close();
    world_.scheduler.run_ready();
    transport_->join();
  }

  wire::Hello hello() const {
    wire::Hello hello{versions_.min, versions_.max, epoch_, tiny_layout(), {{"loopback", ""}}};
    return hello;
  }
  /// The receiver's Welcome or Refusal.
  wire::Message shake_hands(const wire::Hello& hello) {
    wire::NixlInitRequest request;
    request.baton = wire::encode(hello);
    EXPECT_TRUE(init_->send(wire::encode(request)).ok());
    const auto response = std::get<wire::NixlInitResponse>(next());
    return *wire::decode(*response.baton, {});
  }
  void connect() {
    const auto welcome = std::get<wire::Welcome>(shake_hands(hello()));
    bool connected = false;
    transport_->connect(receiver_, welcome.ticket, world_.scheduler.now() + std::chrono::seconds(5),
                        [&](const Status& status) { connected = status.ok(); });
    world_.scheduler.run_for(std::chrono::milliseconds(5));
    ASSERT_TRUE(connected);
  }

  wire::Parties parties() const { return {epoch_, receiver_}; }
  void send(const wire::Message& message) {
    EXPECT_TRUE(alloc_->send(wire::encode(message)).ok());
    world_.scheduler.run_for(std::chrono::milliseconds(5));
  }
  void queue(const wire::Message& message) {
    EXPECT_TRUE(alloc_->send(wire::encode(message)).ok());
  }
  void send_raw(std::string_view bytes) {
    EXPECT_TRUE(alloc_->send(bytes).ok());
    world_.scheduler.run_for(std::chrono::milliseconds(5));
  }
  wire::Message next() {
    EXPECT_TRUE(world_.scheduler.run_until([&] { return !answers_.empty(); }));
    wire::Message message = std::move(answers_.front());
    answers_.pop_front();
    return message;
  }
  bool quiet() const { return answers_.empty(); }

  wire::AllocRequest alloc(std::uint64_t put_id, const std::string& req_id, std::uint64_t first,
                           std::uint64_t count, bool last = true) const {
    wire::AllocRequest request;
    request.keys = tiny_keys(first, count);
    request.fmt = MemoryFormat::kKv2ltd;
    request.shape = {2, 1, 4, 8};
    request.dtype = DType::kHalf;
    request.last_chunk_toks = 4;
    request.async = {req_id, last, static_cast<std::uint32_t>(count)};
    request.baton = {parties(), 0, put_id};
    return request;
  }
  wire::AllocResponse allocate(std::uint64_t put_id, const std::string& req_id, std::uint64_t first,
                               std::uint64_t count) {
    send(alloc(put_id, req_id, first, count));
    return std::get<wire::AllocResponse>(next());
  }
  /// Writes `seed`'s bytes into a granted page.
  Status write(std::uint32_t page, std::uint64_t generation, std::uint64_t seed) {
    const auto bytes = chunk_bytes(seed, 128);
    std::memcpy(buffer_->page(0).data(), bytes.data(), bytes.size());
    Status result = absl::UnknownError(std::string("not done"));
    transport_->write_batch(receiver_, {{buffer_->page(0).first(128), page, generation, 0}},
                            [&](const Status& status) { result = status; });
    world_.scheduler.run_for(std::chrono::milliseconds(5));
    return result;
  }
  /// Reads a page that is held for it.
  StatusOr<std::vector<std::byte>> read(std::uint32_t page, std::uint64_t generation,
                                        std::size_t bytes = 128) {
    const auto local = buffer_->page(1).first(bytes);
    Status result = absl::UnknownError(std::string("not done"));
    transport_->read_batch(receiver_, {{local, page, generation, 0}},
                           [&](const Status& status) { result = status; });
    world_.scheduler.run_for(std::chrono::milliseconds(5));
    if (!result.ok()) {
      return result;
    }
    return std::vector(local.begin(), local.end());
  }
  wire::CommitRequest commit(std::uint64_t put_id, std::uint32_t page, std::uint64_t generation,
                             std::uint64_t seed) const {
    return {parties(), put_id, 0, {page}, {generation}, {digest_of(chunk_bytes(seed, 128))}};
  }
  std::uint32_t commit_code(const wire::CommitRequest& request) {
    send(request);
    return std::get<wire::CommitResponse>(next()).code;
  }

  const Epoch& epoch() const { return epoch_; }

 private:
  World& world_;
  const Epoch receiver_;
  const Epoch epoch_;
  const VersionRange versions_;
  std::unique_ptr<RegisteredBuffer> buffer_;
  std::unique_ptr<transport::LoopbackTransport> transport_;
  std::unique_ptr<control::Client> init_;
  std::unique_ptr<control::Client> alloc_;
  std::deque<wire::Message> answers_;
};

}  // namespace baton::testing
