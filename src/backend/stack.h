// The parts of one backend, in the order of their lives.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "baton/pd_backend.h"
#include "src/backend/fault_injection.h"
#include "src/backend/role_split.h"
#include "src/base/event_loop.h"
#include "src/base/loop_ref.h"
#include "src/control/control.h"
#include "src/memory/registered_buffer.h"
#include "src/memory/staging_pool.h"
#include "src/receiver/receiver.h"
#include "src/security/credentials.h"
#include "src/sender/sender.h"
#include "src/transport/stock_plane.h"
#include "src/transport/transport.h"

namespace baton {

/// Built and taken down by Stack::create and Stack::close; in between, sender and receiver are
/// used on the loop. Those of the role are there.
class Stack {
 public:
  static StatusOr<std::unique_ptr<Stack>> create(const Options& options, const CacheLayout& layout,
                                                 FaultInjection faults);
  ~Stack();

  /// From any thread but the loop's; once. Cancels, drains, runs the last callbacks, stops.
  void close();

  /// Whether anybody still uses something of this incarnation, in words; if nobody does, the ports
  /// are closed and "" is returned, so that nothing new can begin. From any thread but the loop's.
  std::string retire();

  EventLoop& loop() { return *loop_; }
  /// By the role.
  bool has_sender() const { return sender_ != nullptr; }
  bool has_receiver() const { return receiver_ != nullptr; }
  sender::Sender& sender() { return *sender_; }
  receiver::Receiver& receiver() { return *receiver_; }
  StagingPool& staging() { return *staging_; }
  const std::shared_ptr<LoopRef>& loop_ref() const { return loop_ref_; }
  const RegisteredBuffer& buffer() const { return *buffer_; }
  std::vector<std::string> transport_names() const;

 private:
  explicit Stack(const Options& options) : options_(options) {}
  Status build_on_loop(const CacheLayout& layout, FaultInjection faults);
  std::string under_way_on_loop();

  const Options options_;
  std::shared_ptr<const security::Credentials> credentials_;  // null: no keys
  bool closed_ = false;
  Epoch epoch_ = Epoch::random();
  std::unique_ptr<EventLoop> loop_;  // stopped by close(), but there until the end
  std::shared_ptr<LoopRef> loop_ref_;
  std::shared_ptr<RegisteredBuffer> buffer_;
  std::uint32_t receiver_pages_ = 0;  // the buffer's first ones
  std::shared_ptr<StagingPool> staging_;
  std::unique_ptr<RoleSplit> split_;  // of both roles; the transports tell it until they are joined
  std::vector<std::unique_ptr<transport::Transport>> transports_;
  std::unique_ptr<transport::StockPlane> stock_;  // null: LMCache's own peers are refused
  std::unique_ptr<control::Network> network_;
  std::unique_ptr<sender::Sender> sender_;
  std::unique_ptr<receiver::Receiver> receiver_;
};

}  // namespace baton
