// Who of LMCache's own senders has introduced itself, and whose grant is whose. docs/interop.md.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "baton/status.h"
#include "src/base/epoch.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/receiver/config.h"
#include "src/transport/stock_plane.h"
#include "src/wire/messages.h"

namespace baton::receiver {

/// A party is the peers that share a fence, named by an epoch that no process has. All methods on
/// the loop.
class StockPeers {
 public:
  /// More than any prefill fleet has; each costs an agent.
  static constexpr std::size_t kMaxPeers = 256;

  /// `fenced`: no byte of that party's peers can reach a page any more.
  using Fenced = absl::AnyInvocable<void(const Epoch& party)>;
  StockPeers(Scheduler& scheduler, transport::StockPlane& plane, const Config& config,
             std::uint32_t page_count, Fenced fenced);
  ~StockPeers();

  /// The answers to the handshake. A refusal has empty fields, and `why` says what was wrong.
  wire::NixlInitResponse on_init(const control::Route& from, const wire::NixlInitRequest& message,
                                 Status& why);
  wire::NixlMemRegResponse on_mem_reg(const control::Route& from,
                                      const wire::NixlMemRegRequest& message, Status& why);

  /// The refusal of what can't be read, of the kind that the peer waits for.
  wire::Message refuse(const control::Route& from);

  /// Who speaks on that route of the alloc port: the peers that its name names, or all that no
  /// route has named. kFailedPrecondition if that is nobody.
  StatusOr<Epoch> party_of(const control::Route& from);

  /// Destroys the agents of a party; its epoch is never used again.
  void fence(const Epoch& party);

  std::size_t size() const;

 private:
  struct Introduced {
    transport::StockPeerId id = 0;
    std::string agent_name;  ///< the peer's
    std::vector<transport::PageAddress> pages;
    TimePoint since{};
    TimerId timer = kNoTimer;
  };
  struct Known {
    transport::StockPeerId id;
    TimePoint heard;
  };
  /// Peers that introduced themselves with one local_id.
  struct Group {
    Epoch party = Epoch::random();  ///< once named
    bool named = false;             ///< an alloc route bears the local_id
    std::vector<Known> peers;
  };
  struct Fence {
    std::size_t left = 0;  ///< agents that are being destroyed
    bool asked = false;
  };

  StatusOr<wire::NixlInitResponse> introduce(const control::Route& from,
                                             const wire::NixlInitRequest& message);
  StatusOr<wire::NixlMemRegResponse> accept(const Introduced& peer,
                                            const wire::NixlMemRegRequest& message);
  void forget_introduced(const control::Route& from);
  /// Drops the oldest that is only introduced, else the one that was heard of least recently.
  void make_room();
  const Epoch& party_of(const Group& group) const { return group.named ? group.party : unnamed_; }
  void revoke(const Epoch& party, transport::StockPeerId peer);
  void finish(const Epoch& party);

  Scheduler& scheduler_;
  transport::StockPlane& plane_;
  const Config& config_;
  const std::uint64_t chunk_bytes_;
  const std::uint32_t page_count_;  // of the buffer, from its first on: what senders may be granted
  Fenced fenced_;
  Epoch unnamed_ = Epoch::random();  // the party of all that no route has named
  std::map<control::Route, Introduced> introduced_;
  std::map<std::string, Group> groups_;  // by local_id
  std::map<Epoch, Fence> fences_;
  Lifetime lifetime_;
};

}  // namespace baton::receiver
