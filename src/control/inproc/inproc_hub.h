// Who is where in an InprocNetwork, and the carrying of messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/scheduler.h"
#include "src/control/inproc/inproc_network.h"
#include "src/control/recent_set.h"

namespace baton::control::inproc {

/// Bounds what one sender has under way in one direction.
struct SendQueue {
  std::size_t in_flight = 0;
  bool blocked = false;  ///< a send was refused; on_room is due
  Task on_room;          ///< may be null
};

// The four ends' states. Whoever made an end owns its state; the hub and messages under way only
// watch, so that an end which is gone hears nothing more.

struct ClientState;

/// Where an end lives. Its process outlives it.
struct Place {
  Scheduler* process = nullptr;
  std::string name;
};

struct ServerState {
  Place place;
  std::string endpoint;
  Server::Handler handler;
  std::map<Route, std::weak_ptr<ClientState>> routes;
  RecentSet cut_off{Server::kMaxCutOff};
};

struct ClientState {
  Place place;
  std::string endpoint;
  std::string identity;
  Client::Handler handler;
  std::weak_ptr<ServerState> server;  ///< whom it is connected to
  std::deque<std::string> waiting;    ///< sent while not connected
  std::shared_ptr<SendQueue> to_server = std::make_shared<SendQueue>();
  std::shared_ptr<SendQueue> from_server = std::make_shared<SendQueue>();
};

struct PullState {
  Place place;
  std::string endpoint;
  Pull::Handler handler;
};

struct PushState {
  Place place;
  std::string endpoint;
  std::weak_ptr<PullState> pull;  ///< whom it is connected to
  std::uint64_t incarnation = 0;
  Push::Writable writable;
  std::shared_ptr<SendQueue> to_pull = std::make_shared<SendQueue>();
};

class Hub : public std::enable_shared_from_this<Hub> {
 public:
  Hub(Scheduler& scheduler, InprocOptions options) : scheduler_(scheduler), options_(options) {}

  const InprocOptions& options() const { return options_; }
  Scheduler& scheduler() { return scheduler_; }
  void set_filter(Filter filter) { filter_ = std::move(filter); }

  /// The name to bind to, with a port in place of ":0"; kUnavailable if it is taken.
  StatusOr<std::string> free_name(const std::string& wanted);

  // Each connects those who belong together, in later turns.
  void add(const std::shared_ptr<ServerState>& server);
  void add(const std::shared_ptr<ClientState>& client);
  void add(const std::shared_ptr<PullState>& pull);
  void add(const std::shared_ptr<PushState>& push);

  void remove(const ServerState& server);
  void remove(const PullState& pull);

  Status send_to_server(ClientState& client, std::string_view payload);
  Status send_to_client(ServerState& server, const Route& to, std::string_view payload);
  Status send_to_pull(PushState& push, std::string_view payload);

  /// Calls the push's callback if it is connected; the callback may replace or end it.
  static void post_writable(const std::weak_ptr<PushState>& push);
  static void tell_writable(const std::shared_ptr<PushState>& push);

 private:
  using Deliver = absl::AnyInvocable<void(std::string_view payload)>;

  template <typename State>
  void post_connect(const std::shared_ptr<State>& state);
  void connect(const std::shared_ptr<ClientState>& client);
  void connect(const std::shared_ptr<PushState>& push);

  /// kInvalidArgument if too large, kUnavailable if the queue has no room.
  Status admit(SendQueue& queue, std::size_t waiting, std::string_view payload,
               std::string_view endpoint) const;
  /// `target` is watched: nothing is delivered to an end that is gone.
  template <typename State>
  void carry(const Envelope& envelope, const std::shared_ptr<SendQueue>& queue,
             const std::shared_ptr<State>& target, Deliver deliver);
  void carry_to_server(ClientState& client, const std::shared_ptr<ServerState>& server,
                       std::string_view payload);

  Scheduler& scheduler_;
  const InprocOptions options_;
  Filter filter_;
  std::uint32_t next_port_ = 49'152;
  std::map<std::string, std::weak_ptr<ServerState>> servers_;
  std::map<std::string, std::weak_ptr<PullState>> pulls_;
  std::vector<std::weak_ptr<ClientState>> clients_;
  std::vector<std::weak_ptr<PushState>> pushes_;
};

}  // namespace baton::control::inproc
