// A whole handoff in one thread: real senders and receivers on a virtual clock, with the loopback
// transport and the in-process control channel between them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "baton/options.h"
#include "src/control/inproc/inproc_network.h"
#include "src/memory/staging_pool.h"
#include "src/receiver/receiver.h"
#include "src/sender/sender.h"
#include "src/transport/loopback/loopback_hub.h"
#include "src/transport/loopback/loopback_transport.h"
#include "src/wire/codec.h"
#include "tests/support/stock_hub.h"
#include "tests/support/virtual_scheduler.h"

namespace baton::testing {

/// A tiny layout: [2, 1, 4, 8] halves, 128 bytes a chunk, 4 tokens.
wire::LayoutInfo tiny_layout();
TensorMeta tiny_chunk(std::int64_t tokens = 4);
/// A valid key; equal numbers are equal keys.
std::string tiny_key(std::uint64_t number);
std::vector<std::string> tiny_keys(std::uint64_t first, std::uint64_t count);

/// Everything that the nodes of one test share.
struct World {
  explicit World(transport::LoopbackOptions options = {})
      : hub(scheduler, options), network(scheduler), stock(scheduler) {}

  VirtualScheduler scheduler;
  transport::LoopbackHub hub;
  control::InprocNetwork network;
  StockHub stock;
};

class ReceiverNode {
 public:
  ReceiverNode(World& world, const std::string& name, std::uint32_t pages,
               receiver::Config config = default_config(), receiver::FaultHooks faults = {},
               StockPeers stock = StockPeers::kRefuse);
  ~ReceiverNode();

  static receiver::Config default_config();
  sender::Address address() const { return address_; }
  receiver::Receiver& operator*() { return *receiver_; }
  receiver::Receiver* operator->() { return receiver_.get(); }
  const Epoch& epoch() const { return epoch_; }
  receiver::ChunkPool::Counts pages() const { return receiver_->stats().pages; }
  RegisteredBuffer& buffer() { return *buffer_; }
  HubPlane& plane() { return *plane_; }

  /// Claims, and runs the world until there is an answer.
  StatusOr<Claim> claim(const std::string& req_id, std::vector<std::string> keys,
                        Duration timeout = std::chrono::seconds(10));

 private:
  World& world_;
  Epoch epoch_ = Epoch::random();
  sender::Address address_;
  std::shared_ptr<RegisteredBuffer> buffer_;
  std::shared_ptr<LoopRef> loop_;
  std::unique_ptr<transport::LoopbackTransport> transport_;
  std::unique_ptr<HubPlane> plane_;
  std::unique_ptr<receiver::Receiver> receiver_;
};

/// One put as a test sees it.
struct PutResult {
  std::shared_ptr<detail::PutState> state;
  std::vector<std::pair<std::string, Status>> callbacks;

  bool done() const { return state->done(); }
  Status status() const { return state->wait(std::chrono::milliseconds(0)); }
  PutStats stats() const { return state->stats(); }
};

/// One read as a test sees it.
struct ReadSeen {
  std::shared_ptr<detail::ReadState> state;
  std::vector<MemoryObj> objects;
  std::vector<std::pair<std::string, Status>> callbacks;

  bool done() const { return state->done(); }
  StatusOr<ReadResult> result() const { return state->wait(std::chrono::milliseconds(0)); }
};

class SenderNode {
 public:
  SenderNode(World& world, std::uint32_t pages, sender::Config config = default_config(),
             sender::FaultHooks faults = {}, StockPeers stock = StockPeers::kRefuse);
  ~SenderNode();

  static sender::Config default_config();
  sender::Sender* operator->() { return sender_.get(); }
  StagingPool& staging() { return *staging_; }
  const Epoch& epoch() const { return epoch_; }
  HubPlane& plane() { return *plane_; }

  /// A staged chunk whose bytes depend on `seed`.
  MemoryObj chunk(std::uint64_t seed, std::int64_t tokens = 4);
  std::vector<MemoryObj> chunks(std::uint64_t first, std::uint64_t count);
  /// A spec for keys first … first + count - 1 with freshly staged bytes.
  sender::PutSpec spec(const std::string& req_id, std::uint64_t first, std::uint64_t count,
                       bool is_last = true);

  std::shared_ptr<PutResult> submit(const ReceiverNode& to, sender::PutSpec spec) {
    return submit(to.address(), std::move(spec));
  }
  std::shared_ptr<PutResult> submit(const sender::Address& to, sender::PutSpec spec);
  /// Reads keys first … first + count - 1 into staged pages full of 0xEE.
  std::shared_ptr<ReadSeen> read(const ReceiverNode& from, std::uint64_t first, std::uint64_t count,
                                 Duration timeout = std::chrono::seconds(30)) {
    return read(from.address(), first, count, timeout);
  }
  /// `query_endpoint`: an LMCache receiver's.
  std::shared_ptr<ReadSeen> read(const sender::Address& from, std::uint64_t first,
                                 std::uint64_t count, Duration timeout = std::chrono::seconds(30),
                                 const std::string& query_endpoint = {});
  /// Opens, and runs the world until there is an answer.
  StatusOr<std::shared_ptr<StagingReservation>> open(const ReceiverNode& to,
                                                     const std::string& req_id,
                                                     std::vector<std::string> keys,
                                                     Duration timeout = std::chrono::seconds(5));

 private:
  World& world_;
  Epoch epoch_;
  std::shared_ptr<LoopRef> loop_;
  std::shared_ptr<StagingPool> staging_;
  std::shared_ptr<RegisteredBuffer> buffer_;
  std::unique_ptr<transport::LoopbackTransport> transport_;
  std::unique_ptr<HubPlane> plane_;
  std::unique_ptr<sender::Sender> sender_;
};

/// The bytes that SenderNode::chunk(seed) writes.
std::vector<std::byte> chunk_bytes(std::uint64_t seed, std::size_t count);

}  // namespace baton::testing
