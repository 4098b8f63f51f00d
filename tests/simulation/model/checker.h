// The model of the whole system: sees what everybody says, what lands and what is shown, and knows
// what must never be. It shares no code with the logic that it checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "src/control/inproc/inproc_network.h"
#include "src/memory/staging_pool.h"
#include "src/receiver/receiver.h"
#include "src/wire/messages.h"
#include "tests/simulation/model/call_watch.h"
#include "tests/simulation/model/notice_model.h"
#include "tests/simulation/model/page_model.h"
#include "tests/simulation/model/verdict.h"
#include "tests/simulation/world/content.h"
#include "tests/simulation/world/coverage.h"
#include "tests/simulation/world/history.h"

namespace baton::simulation {

class Checker {
 public:
  Checker(Scheduler& clock, History& history, Coverage& coverage, Content& content);

  // ---- processes -----------------------------------------------------------------------------
  void sender_started(const std::string& name, const Epoch& epoch, const StagingPool& staging);
  void receiver_started(const std::string& name, const Epoch& epoch, receiver::Receiver& receiver,
                        const RegisteredBuffer& buffer);
  void crashed(const std::string& name);
  /// The process has had a turn, or bytes landed in it.
  void after_turn(const std::string& name);

  // ---- networks ------------------------------------------------------------------------------
  void message_sent(const control::Envelope& envelope);
  void landed(const transport::LoopbackConditions::Landing& landing);
  void read_landed(const transport::LoopbackConditions::Landing& landing);
  /// `receiver` begins to fence `sender`.
  void fencing(const Epoch& sender, const Epoch& receiver);
  /// It is proven at `receiver` that `sender` can neither write nor read there.
  void fenced(const Epoch& sender, const Epoch& receiver);
  /// The connection between them broke, on whatever side: requests may end at the receiver.
  void disturbed(const Epoch& sender, const Epoch& receiver) { notices_.disturb(sender, receiver); }
  void disturbed(const std::string& req_id) { notices_.disturb_request(req_id); }

  // ---- engines -------------------------------------------------------------------------------
  struct AttemptName {
    Epoch sender;
    std::string req_id;
    std::uint64_t attempt = 0;
    auto operator<=>(const AttemptName&) const = default;
  };
  void submitted(const AttemptName& name, const std::vector<std::string>& keys, bool is_last);
  void put_ended(const AttemptName& name, const Status& status);
  void staging_taken(const AttemptName& name, std::uint32_t pages);
  /// Pages ahead, as memory of a prefiller's.
  struct PlaceName {
    Epoch receiver;
    std::uint32_t page = 0;
    std::uint64_t generation = 0;
  };
  /// None if that is memory which leads nowhere: the receiver is gone, or has fenced the sender.
  std::optional<PlaceName> lent(const Epoch& sender, const std::byte* memory);
  /// May be written still, without a trap.
  bool reaches(const PlaceName& place) const;
  /// `sender` wrote there by itself, from the page's beginning.
  void wrote(const Epoch& sender, const PlaceName& place, std::size_t bytes);
  /// The engine keeps nothing of it any more; the sender gives back what is left in some turn.
  void staging_closed(const AttemptName& name);
  /// The proxy let the request go on to its decoder.
  void released(const std::vector<AttemptName>& ranks);
  /// Somebody who holds the chunk looks at it.
  void read(std::string_view reader, const std::string& key, std::span<const std::byte> bytes);
  /// Does a chunk that `receiver` says it has have its bytes?
  CallWatch& calls() { return calls_; }

  /// From now on a Baton proxy must hear of failures, as long as it doesn't crash.
  void watch_failures() { watches_failures_ = true; }
  /// From now on every request must be admitted at both ranks, or at none, at about the same time.
  void watch_ranks() { watches_ranks_ = true; }

  Verdict& verdict() { return verdict_; }
  void broken(Promise promise, std::string what) { verdict_.broken(promise, std::move(what)); }

 private:
  struct PlaceSeen {
    std::uint32_t page = 0;
    std::uint64_t generation = 0;
  };
  struct PutSeen {
    std::vector<std::string> keys;
    AttemptName attempt;
    std::set<Epoch> addressed_to;
    std::vector<std::optional<PlaceSeen>> places;  // ahead, one a key, or none
    TimePoint asked{};
    bool answered = false;
  };
  struct Admitted {
    std::uint32_t pages = 0;
    std::uint32_t taken = 0;
    Epoch receiver;
    TimePoint closed = TimePoint::max();
  };
  struct SenderView {
    std::string name;
    const StagingPool* staging;
  };

  using Envelope = control::Envelope;
  void see(const Envelope& from, const Epoch& sender, const wire::AllocRequest& message);
  void see(const Envelope& from, const Epoch& sender, const wire::AllocResponse& message);
  void see(const Envelope& from, const Epoch& sender, const wire::OpenRequest& message);
  void see(const Envelope& from, const Epoch& sender, const wire::OpenResponse& message);
  void see(const Envelope& from, const Epoch& sender, const wire::CommitRequest& message);
  void see(const Envelope& from, const Epoch& sender, const wire::CommitResponse& message);
  void see(const Envelope& from, const Epoch& sender, const wire::ChunkUpdate& message);
  void see(const Envelope& from, const Epoch& sender, const wire::DrainNotif& message);
  void see(const Envelope& from, const Epoch& sender, const wire::DrainAck& message);
  void see(const Envelope& from, const Epoch& sender, const wire::CancelNotif& message);
  void see(const Envelope& from, const Epoch& sender, const wire::ReleaseNotif& message);
  void see(const Envelope& from, const Epoch& sender, const wire::EndNotif& message);
  void see(const Envelope& from, const Epoch& sender, const wire::GroupNotif& message);
  void see(const Envelope& from, const Epoch& sender, const wire::HeartbeatAck& message);
  void see(const Envelope& from, const Epoch& sender, const wire::FailNotif& message);
  void see(const Envelope& from, const Epoch& sender, const wire::ProxyNotif& message);
  void see(const Envelope& from, const Epoch& sender, const wire::NixlInitRequest& message);
  void see(const Envelope& from, const Epoch& sender, const wire::NixlInitResponse& message);
  void see(const Envelope& from, const Epoch& sender, const wire::ReadRequest& message);
  void see(const Envelope& from, const Epoch& sender, const wire::ReadResponse& message);
  void see(const Envelope& from, const Epoch& sender, const wire::ReadRelease& message);
  void see(const Envelope& from, const Epoch& sender, const wire::AheadRequest& message);
  void see(const Envelope& from, const Epoch& sender, const wire::AheadGrant& message);
  void see(const Envelope& from, const Epoch& sender, const wire::DrainRequest& message);
  template <typename Other>
  void see(const Envelope& from, const Epoch& sender, const Other& message);

  /// Of the messages between senders and receivers; of a group's, the follower.
  Epoch sender_of(const Envelope& envelope) const;
  bool recently_crashed(std::string_view group) const;
  void see_places(const PutName& put, PutSeen& seen, const wire::AllocRequest& message);
  void count_parked(std::string_view receiver, PutSeen& seen);
  void note_admission(const AttemptName& name);
  void check_ranks();
  /// Of the receiver that says something; nullptr if it is not alive.
  PageModel* pages_of(std::string_view receiver_name);
  void check_staging(const Epoch& epoch, const SenderView& sender);
  void check_answer(const Envelope& from, const std::set<Epoch>& addressed_to,
                    std::string_view what);

  Scheduler& clock_;
  History& history_;
  Coverage& coverage_;
  Content& content_;
  Verdict verdict_;
  CallWatch calls_;
  NoticeModel notices_;
  std::map<std::string, Epoch, std::less<>> alive_;  // by name
  std::map<std::string, Epoch, std::less<>> by_hex_;
  std::map<Epoch, SenderView> senders_;
  std::map<Epoch, std::unique_ptr<PageModel>> receivers_;
  std::map<PutName, PutSeen> puts_;
  struct ReadSeen {
    std::vector<std::string> keys;
    std::set<Epoch> addressed_to;
  };
  std::map<PutName, ReadSeen> reads_;
  std::map<std::pair<Epoch, std::uint64_t>, std::set<Epoch>> asked_ahead_;  // by sender, sequence
  /// When a receiver has last asked for pages ahead for a put that was not admitted.
  std::map<std::string, TimePoint, std::less<>> parked_;
  /// Sender, receiver, put, slice.
  using CommitName = std::tuple<Epoch, Epoch, std::uint64_t, std::uint32_t>;
  std::map<CommitName, wire::CommitRequest> commits_;
  std::map<AttemptName, std::uint32_t> opening_;  // how many pages were asked for
  std::map<AttemptName, Admitted> admitted_;
  std::map<std::string, TimePoint, std::less<>> last_crash_;  // by group: "d0"
  /// Admitted at one rank and not at the other; watched where nothing is wrong.
  struct HalfAdmitted {
    AttemptName name;
    TimePoint since;
  };
  bool watches_ranks_ = false;
  bool watches_failures_ = false;
  std::map<std::pair<std::string, std::uint64_t>, HalfAdmitted> half_admitted_;
};

}  // namespace baton::simulation
