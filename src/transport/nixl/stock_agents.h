// The plane towards stock peers: an agent for each.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "src/transport/nixl/agent.h"
#include "src/transport/nixl/metadata.h"
#include "src/transport/nixl/nixl_options.h"
#include "src/transport/nixl/notifications.h"
#include "src/transport/nixl/transfers.h"
#include "src/transport/nixl/workshop.h"
#include "src/transport/stock_plane.h"

namespace baton::transport::nixl {

/// What such a peer writes into our pages needs no help of the loop: its agent has a progress
/// thread. On the loop only; destroying it waits for the agents' ends.
class StockAgents final : public StockPlane {
 public:
  static StatusOr<std::unique_ptr<StockAgents>> create(Reactor& reactor, const PeerId& self,
                                                       NixlOptions options,
                                                       RegisteredBuffer& buffer);
  ~StockAgents() override;

  StatusOr<std::string> check(std::string_view metadata) const override;
  StatusOr<Door> open_door() override;
  StatusOr<std::string> introduce(StockPeerId peer, std::string_view metadata) override;
  Status set_pages(StockPeerId peer, PageMemory memory,
                   const std::vector<PageAddress>& pages) override;
  void write_batch(StockPeerId peer, std::vector<WriteOp> ops, Done done) override;
  void read_batch(StockPeerId peer, std::vector<ReadOp> ops, Done done) override;
  void revoke(StockPeerId peer, Task fenced) override;
  void close() override;

 private:
  struct Peer {
    std::unique_ptr<Agent> agent;                    ///< none: it has ended, or is ending
    std::optional<NotificationDrain> notifications;  ///< while it has an agent
    Metadata metadata;                               ///< once introduced
    std::vector<PageAddress> pages;
    /// Once it has pages, while it has an agent.
    std::unique_ptr<Transfers> transfers;
    Status trouble;  ///< why it has no agent
    bool gone = false;
    std::vector<Batch> left;   ///< until it is gone
    std::vector<Task> fences;  ///< not empty: revoked
  };
  /// Of either direction.
  struct Move {
    std::span<const std::byte> local;
    std::uint32_t page = 0;
    std::uint64_t offset_bytes = 0;
  };

  StockAgents(Reactor& reactor, const PeerId& self, NixlOptions options, bool rdma,
              RegisteredBuffer& buffer);

  std::vector<PageAddress> own_pages() const;
  StatusOr<Peer*> find(StockPeerId id);
  Status check(const Peer& peer, const std::vector<Move>& moves) const;
  Batch batch_of(const Peer& peer, const std::vector<Move>& moves) const;
  void move_batch(StockPeerId peer, Direction direction, const std::vector<Move>& moves, Done done);
  void end(StockPeerId id, const Status& why);
  void on_gone(StockPeerId id);
  void settle(Peer& peer);

  Reactor& reactor_;
  const std::string name_prefix_;
  const NixlOptions options_;
  const bool rdma_;
  RegisteredBuffer& buffer_;
  bool closed_ = false;
  StockPeerId last_id_ = 0;
  std::map<StockPeerId, Peer> peers_;
  std::unique_ptr<Workshop> workshop_;
};

}  // namespace baton::transport::nixl
