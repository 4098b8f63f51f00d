#include "tests/simulation/world/conditions.h"

#include <fmt/format.h>

#include <algorithm>

namespace baton::simulation {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// A fast network: what is slow is the exception, drawn from the rates.
constexpr Duration kMinLatency = microseconds(20);
constexpr Duration kMaxLatency = microseconds(200);
constexpr Duration kMaxExtraDelay = milliseconds(60);
constexpr Duration kMaxFence = milliseconds(150);
constexpr Duration kMaxNotice = milliseconds(40);
constexpr std::uint32_t kStragglePercent = 60;

}  // namespace

Conditions::Conditions(const Scheduler& clock, Random random, const Profile& profile,
                       History& history, Coverage& coverage)
    : clock_(clock),
      random_(random),
      rates_(profile.rates),
      guarded_(profile.guarded),
      max_piece_delay_(profile.piece_delay),
      history_(history),
      coverage_(coverage) {}

void Conditions::part(const std::string& from, const std::string& to, TimePoint until) {
  history_.note("", "FAULT nothing gets from {} to {} for {} us", from, to,
                (until - clock_.now()).count() / 1000);
  parted_[{from, to}] = until;
}

void Conditions::calm() {
  calm_ = true;
  rates_ = {};
  parted_.clear();
}

Duration Conditions::parted_for(const std::string& from, const std::string& to) const {
  const auto found = parted_.find({from, to});
  return found == parted_.end() ? Duration::zero()
                                : std::max(Duration::zero(), found->second - clock_.now());
}

std::vector<Duration> Conditions::carry(const control::Envelope& envelope) {
  // A PUSH socket delivers at most once; what is duplicated to a Baton proxy would be a forgery.
  const bool notice = envelope.kind == control::Envelope::Kind::kToPull;
  if (random_.ppm(notice ? rates_.lose_notice : rates_.lose_message)) {
    coverage_.hit(notice ? Point::kNoticeLost : Point::kMessageLost);
    history_.note(envelope.from, "FAULT its message to {} is lost", envelope.to);
    return {};
  }
  std::vector<Duration> copies = {arrival(envelope, !notice)};
  if (!notice && random_.ppm(rates_.duplicate_message)) {
    coverage_.hit(Point::kMessageDuplicated);
    history_.note(envelope.from, "FAULT its message to {} comes twice", envelope.to);
    copies.push_back(arrival(envelope, true));
  }
  return copies;
}

Duration Conditions::arrival(const control::Envelope& envelope, bool may_overtake) {
  Duration delay = random_.between(kMinLatency, kMaxLatency) +
                   parted_for(std::string(envelope.from), std::string(envelope.to));
  if (random_.ppm(rates_.delay_message)) {
    coverage_.hit(Point::kMessageDelayed);
    delay += random_.between(kMinLatency, kMaxExtraDelay);
  }
  TimePoint& last =
      last_arrival_[fmt::format("{}>{}>{}", envelope.from, envelope.endpoint, envelope.client)];
  const TimePoint mine = clock_.now() + delay;
  if (mine > last) {
    last = mine;
  } else if (may_overtake && random_.ppm(rates_.reorder_message)) {
    coverage_.hit(Point::kMessageReordered);
    history_.note(envelope.from, "FAULT its message to {} overtakes others", envelope.to);
    return delay;
  } else {
    last += Duration(1);
  }
  return last - clock_.now();
}

bool Conditions::drop_write(const Epoch& writer, const Epoch& receiver) {
  if (!random_.ppm(rates_.drop_write)) {
    return false;
  }
  coverage_.hit(Point::kWriteDropped);
  history_.note(name_of(writer), "FAULT a write to {} never lands", name_of(receiver));
  return true;
}

bool Conditions::drop_read(const Epoch& reader, const Epoch& receiver) {
  if (!random_.ppm(rates_.drop_read)) {
    return false;
  }
  coverage_.hit(Point::kReadDropped);
  history_.note(name_of(reader), "FAULT a read from {} brings nothing", name_of(receiver));
  return true;
}

Duration Conditions::piece_delay(const Epoch& writer, const Epoch& receiver) {
  return random_.between(Duration(1), max_piece_delay_) +
         parted_for(name_of(writer), name_of(receiver));
}

Duration Conditions::connect_delay(const Epoch& writer, const Epoch& receiver) {
  const std::string& from = name_of(writer);
  const std::string& to = name_of(receiver);
  return random_.between(kMinLatency, kMaxLatency) + parted_for(from, to) + parted_for(to, from);
}

Duration Conditions::fence_delay(const Epoch& receiver, const Epoch& writer) {
  coverage_.hit(Point::kFenced);
  history_.note(name_of(receiver), "fences {}", name_of(writer));
  fencing_(writer, receiver);
  return random_.percent(50) ? random_.between(Duration(1), kMaxLatency)
                             : random_.between(kMaxLatency, kMaxFence);
}

Duration Conditions::notice_delay(const Epoch& told, const Epoch& other) {
  return (random_.percent(50) ? random_.between(Duration(1), kMaxLatency)
                              : random_.between(kMaxLatency, kMaxNotice)) +
         parted_for(name_of(other), name_of(told));
}

std::optional<Duration> Conditions::straggles(const Epoch& writer, const Epoch& receiver) {
  if (!random_.percent(kStragglePercent)) {
    return std::nullopt;
  }
  coverage_.hit(Point::kStraggler);
  const Duration delay = random_.percent(50) ? random_.between(Duration(1), kMaxLatency)
                                             : random_.between(kMaxLatency, kMaxFence);
  history_.note(name_of(writer), "FAULT a piece to {} straggles for {} us", name_of(receiver),
                delay.count() / 1000);
  return delay;
}

bool Conditions::guarded(const Epoch& /*receiver*/) {
  return guarded_;
}

void Conditions::on_landed(const Landing& landing) {
  if (landing.straggler) {
    coverage_.hit(Point::kStragglerLanded);
  }
  if (!guarded_) {
    coverage_.hit(Point::kLandedUnguarded);
  }
  landed_(landing);
}

void Conditions::on_read(const Landing& landing) {
  if (landing.straggler) {
    coverage_.hit(Point::kReadLingered);
  }
  read_(landing);
}

void Conditions::on_fenced(const Epoch& receiver, const Epoch& writer) {
  fenced_(writer, receiver);
}

}  // namespace baton::simulation
