#include "tests/support/handoff.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <utility>

namespace baton::testing {

wire::LayoutInfo tiny_layout() {
  wire::LayoutInfo layout;
  layout.model_name = "tiny";
  layout.model_fingerprint = "weights-1";
  layout.hash_scheme = "test-hash-v1";
  layout.chunk_size = 4;
  layout.fmt = MemoryFormat::kKv2ltd;
  layout.shape = {2, 1, 4, 8};
  layout.dtype = DType::kHalf;
  return layout;
}

TensorMeta tiny_chunk(std::int64_t tokens) {
  return {{2, 1, tokens, 8}, DType::kHalf, MemoryFormat::kKv2ltd};
}

std::string tiny_key(std::uint64_t number) {
  return fmt::format("tiny@1@0@{:x}@half", number);
}

std::vector<std::string> tiny_keys(std::uint64_t first, std::uint64_t count) {
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < count; ++i) {
    keys.push_back(tiny_key(first + i));
  }
  return keys;
}

std::vector<std::byte> chunk_bytes(std::uint64_t seed, std::size_t count) {
  std::vector<std::byte> bytes(count);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<std::byte>(state >> 56U);
  }
  return bytes;
}

// ---- ReceiverNode ------------------------------------------------------------------------------

receiver::Config ReceiverNode::default_config() {
  receiver::Config config;
  config.layout = tiny_layout();
  return config;
}

ReceiverNode::ReceiverNode(World& world, const std::string& name, std::uint32_t pages,
                           receiver::Config config, receiver::FaultHooks faults, StockPeers stock)
    : world_(world), address_{"inproc://" + name + "-init", "inproc://" + name + "-alloc"} {
  auto buffer = RegisteredBuffer::create(*tiny_chunk().bytes(), pages);
  buffer_ = *std::move(buffer);
  loop_ = std::make_shared<LoopRef>(world.scheduler);
  transport_ = std::make_unique<transport::LoopbackTransport>(world.hub, epoch_);
  EXPECT_TRUE(transport_->attach(*buffer_).ok());
  config.init_endpoint = address_.init_endpoint;
  config.alloc_endpoint = address_.alloc_endpoint;
  if (stock == StockPeers::kAllow) {
    config.query_endpoint = "inproc://" + name + "-query";
    plane_ = std::make_unique<HubPlane>(world.stock, world.scheduler, *buffer_);
  }
  auto made = receiver::Receiver::create(
      {world.scheduler, world.network, {transport_.get()}, buffer_, loop_, epoch_, 0, plane_.get()},
      std::move(config), std::move(faults));
  EXPECT_TRUE(made.ok()) << made.status();
  receiver_ = *std::move(made);
}

ReceiverNode::~ReceiverNode() {
  loop_->detach();
  receiver_->close();
  transport_->close();
  world_.scheduler.run_ready();
  receiver_.reset();
  plane_.reset();
  transport_->join();
}

StatusOr<Claim> ReceiverNode::claim(const std::string& req_id, std::vector<std::string> keys,
                                    Duration timeout) {
  std::optional<StatusOr<Claim>> result;
  receiver_->claim(req_id, std::move(keys), world_.scheduler.now() + timeout,
                   [&](StatusOr<Claim> claim) { result = std::move(claim); });
  EXPECT_FALSE(result.has_value()) << "the callback came inline";
  EXPECT_TRUE(world_.scheduler.run_until([&] { return result.has_value(); }));
  return std::move(*result);
}

// ---- SenderNode --------------------------------------------------------------------------------

sender::Config SenderNode::default_config() {
  sender::Config config;
  config.layout = tiny_layout();
  return config;
}

SenderNode::SenderNode(World& world, std::uint32_t pages, sender::Config config,
                       sender::FaultHooks faults, StockPeers stock)
    : world_(world), epoch_(Epoch::random()) {
  buffer_ = *RegisteredBuffer::create(*tiny_chunk().bytes(), pages);
  loop_ = std::make_shared<LoopRef>(world.scheduler);
  staging_ = StagingPool::create(buffer_, loop_);
  transport_ = std::make_unique<transport::LoopbackTransport>(world.hub, epoch_);
  EXPECT_TRUE(transport_->attach(*buffer_).ok());
  config.epoch = epoch_;
  if (stock == StockPeers::kAllow) {
    plane_ = std::make_unique<HubPlane>(world.stock, world.scheduler, *buffer_);
  }
  auto made = sender::Sender::create(
      {world.scheduler, world.network, {transport_.get()}, staging_, plane_.get()},
      std::move(config), std::move(faults));
  EXPECT_TRUE(made.ok()) << made.status();
  sender_ = *std::move(made);
}

SenderNode::~SenderNode() {
  bool idle = false;
  sender_->close([&idle] { idle = true; });
  EXPECT_TRUE(world_.scheduler.run_until([&] { return idle; }));
  loop_->detach();
  transport_->close();
  world_.scheduler.run_ready();
  sender_.reset();
  plane_.reset();
  transport_->join();
}

MemoryObj SenderNode::chunk(std::uint64_t seed, std::int64_t tokens) {
  auto object = staging_->allocate(tiny_chunk(tokens));
  EXPECT_TRUE(object.ok()) << object.status();
  const auto bytes = chunk_bytes(seed, object->bytes().size());
  std::memcpy(object->bytes().data(), bytes.data(), bytes.size());
  return *object;
}

std::vector<MemoryObj> SenderNode::chunks(std::uint64_t first, std::uint64_t count) {
  std::vector<MemoryObj> objects;
  for (std::uint64_t i = 0; i < count; ++i) {
    objects.push_back(chunk(first + i));
  }
  return objects;
}

sender::PutSpec SenderNode::spec(const std::string& req_id, std::uint64_t first,
                                 std::uint64_t count, bool is_last) {
  sender::PutSpec spec;
  spec.req_id = req_id;
  spec.keys = tiny_keys(first, count);
  spec.objects = chunks(first, count);
  spec.last_chunk_toks = 4;
  spec.is_last = is_last;
  spec.total_chunks = static_cast<std::uint32_t>(count);
  spec.timeout = std::chrono::seconds(30);
  return spec;
}

std::shared_ptr<PutResult> SenderNode::submit(const sender::Address& to, sender::PutSpec spec) {
  auto result = std::make_shared<PutResult>();
  result->state = std::make_shared<detail::PutState>(world_.scheduler);
  spec.on_key_done = [result](const std::string& key, const Status& status) {
    result->callbacks.emplace_back(key, status);
  };
  sender_->submit(to, std::move(spec), result->state);
  EXPECT_FALSE(result->done()) << "the put ended inline";
  return result;
}

std::shared_ptr<ReadSeen> SenderNode::read(const sender::Address& from, std::uint64_t first,
                                           std::uint64_t count, Duration timeout,
                                           const std::string& query_endpoint) {
  auto seen = std::make_shared<ReadSeen>();
  seen->state = std::make_shared<detail::ReadState>(world_.scheduler);
  sender::ReadSpec spec;
  spec.req_id = "read";
  spec.keys = tiny_keys(first, count);
  spec.objects = chunks(first, count);
  for (const MemoryObj& object : spec.objects) {
    std::memset(object.bytes().data(), 0xEE, object.bytes().size());
  }
  seen->objects = spec.objects;
  spec.timeout = timeout;
  spec.query_endpoint = query_endpoint;
  spec.on_key_done = [weak = std::weak_ptr(seen)](const std::string& key, const Status& status) {
    if (const auto told = weak.lock()) {
      told->callbacks.emplace_back(key, status);
    }
  };
  sender_->submit_read(from, std::move(spec), seen->state);
  EXPECT_FALSE(seen->done()) << "the read ended inline";
  return seen;
}

StatusOr<std::shared_ptr<StagingReservation>> SenderNode::open(const ReceiverNode& to,
                                                               const std::string& req_id,
                                                               std::vector<std::string> keys,
                                                               Duration timeout) {
  std::optional<StatusOr<std::shared_ptr<StagingReservation>>> result;
  sender_->open(
      {to.address(), {req_id, 0}, std::move(keys), 0, timeout},
      [&](StatusOr<std::shared_ptr<StagingReservation>> opened) { result = std::move(opened); });
  EXPECT_FALSE(result.has_value()) << "the callback came inline";
  EXPECT_TRUE(world_.scheduler.run_until([&] { return result.has_value(); }));
  return std::move(*result);
}

}  // namespace baton::testing
