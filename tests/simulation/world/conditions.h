// The two networks between the processes: how long things take, and what befalls them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/control/inproc/inproc_network.h"
#include "src/transport/loopback/loopback_hub.h"
#include "tests/simulation/world/coverage.h"
#include "tests/simulation/world/history.h"
#include "tests/simulation/world/profile.h"
#include "tests/simulation/world/random.h"

namespace baton::simulation {

/// Messages of one channel keep their order unless one is made to overtake. A partition holds data
/// back until it heals, as a network does that sends again.
class Conditions final : public transport::LoopbackConditions {
 public:
  Conditions(const Scheduler& clock, Random random, const Profile& profile, History& history,
             Coverage& coverage);

  void name_epoch(const Epoch& epoch, std::string name) { names_[epoch] = std::move(name); }
  const std::string& name_of(const Epoch& epoch) const { return names_.at(epoch); }

  /// Nothing gets from one to the other until then.
  void part(const std::string& from, const std::string& to, TimePoint until);
  /// No faults from now on; partitions heal.
  void calm();

  /// How long each copy of a message takes; empty: lost.
  std::vector<Duration> carry(const control::Envelope& envelope);

  using Landed = absl::AnyInvocable<void(const Landing&)>;
  void set_landed(Landed landed) { landed_ = std::move(landed); }
  /// `receiver` begins to fence `writer`.
  using Fencing = absl::AnyInvocable<void(const Epoch& writer, const Epoch& receiver)>;
  void set_fencing(Fencing fencing) { fencing_ = std::move(fencing); }

  /// Of another's pages, into the reader's memory.
  void set_read(Landed read) { read_ = std::move(read); }
  /// `receiver` has fenced `writer`: it is proven.
  void set_fenced(Fencing fenced) { fenced_ = std::move(fenced); }

  bool drop_read(const Epoch& reader, const Epoch& receiver);
  bool drop_write(const Epoch& writer, const Epoch& receiver);

  // LoopbackConditions
  Duration piece_delay(const Epoch& writer, const Epoch& receiver) override;
  Duration connect_delay(const Epoch& writer, const Epoch& receiver) override;
  Duration fence_delay(const Epoch& receiver, const Epoch& writer) override;
  Duration notice_delay(const Epoch& told, const Epoch& other) override;
  std::optional<Duration> straggles(const Epoch& writer, const Epoch& receiver) override;
  bool guarded(const Epoch& receiver) override;
  void on_landed(const Landing& landing) override;
  void on_read(const Landing& landing) override;
  void on_fenced(const Epoch& receiver, const Epoch& writer) override;

 private:
  /// In order, unless it is made to overtake.
  Duration arrival(const control::Envelope& envelope, bool may_overtake);
  Duration parted_for(const std::string& from, const std::string& to) const;

  const Scheduler& clock_;
  Random random_;
  FaultRates rates_;
  const bool guarded_;
  const Duration max_piece_delay_;
  bool calm_ = false;
  History& history_;
  Coverage& coverage_;
  std::map<Epoch, std::string> names_;
  std::map<std::pair<std::string, std::string>, TimePoint> parted_;
  std::map<std::string, TimePoint, std::less<>> last_arrival_;  // by channel
  Landed landed_;
  Landed read_;
  Fencing fencing_;
  Fencing fenced_;
};

}  // namespace baton::simulation
