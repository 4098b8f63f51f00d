// The sending half: connections to receivers, and the copies into their pages and out of them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/memory/registered_buffer.h"
#include "src/transport/observer_post.h"
#include "src/transport/shm/copy_queue.h"
#include "src/transport/shm/receiver_link.h"

namespace baton::transport::shm {

/// Lives on the loop. Everything that it references outlives it.
class ShmSender final : private ReceiverLinkOwner {
 public:
  ShmSender(Reactor& reactor, const PeerId& self, const RegisteredBuffer& buffer,
            std::size_t max_message_bytes, const CopyHelpers& copy_helpers, ObserverPost& observer);

  void connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline, Done done);
  void write_batch(const PeerId& receiver, const std::vector<WriteOp>& ops, Done done);
  Status write_at_once(const PeerId& receiver, const std::vector<WriteOp>& ops) const;
  void read_batch(const PeerId& receiver, const std::vector<ReadOp>& ops, Done done);
  Status tell(const PeerId& receiver, std::string_view message);
  std::shared_ptr<const MappedPages> map_pages(const PeerId& receiver) const;
  void disconnect(const PeerId& receiver);
  void close();

 private:
  struct Connection {
    std::unique_ptr<ReceiverLink> link;
    Done connecting;  ///< null once answered
  };

  void on_receiver_connected(ReceiverLink& link) override;
  void on_receiver_lost(ReceiverLink& link, Status why) override;
  void on_receiver_says(ReceiverLink& link, std::string message) override;

  StatusOr<std::unique_ptr<ReceiverLink>> open_link(const PeerId& receiver, std::string_view ticket,
                                                    TimePoint deadline);
  std::shared_ptr<RemoteMapping> mapping_of(const PeerId& receiver) const;
  template <typename Op>
  void submit(const PeerId& receiver, const std::vector<Op>& ops, Done done);
  template <typename Op>
  StatusOr<std::vector<CopyPiece>> plan(const RemoteMapping& mapping,
                                        const std::vector<Op>& ops) const;
  bool end(const PeerId& receiver, const Status& why);

  Reactor& reactor_;
  const PeerId self_;
  const RegisteredBuffer& buffer_;
  const std::size_t max_message_bytes_;
  ObserverPost& observer_;
  std::map<PeerId, Connection> connections_;
  CopyQueue copies_;  // Its helpers end before the mappings go.
};

}  // namespace baton::transport::shm
