#include "tests/simulation/world/world.h"

namespace baton::simulation {
namespace {

/// A page of 128 bytes lands in three pieces.
constexpr std::size_t kPieceBytes = 48;

}  // namespace

World::World(std::uint64_t seed, const Profile& with, bool verbose)
    : profile(with),
      random(seed),
      history(clock, verbose),
      checker(clock, history, coverage, content),
      conditions(clock, random.fork(), profile, history, coverage),
      hub(clock, {.piece_bytes = kPieceBytes,
                  .digests_writes = profile.digests_writes,
                  .maps_pages = profile.pages_ahead > 0}),
      network(clock) {
  hub.set_conditions(&conditions);
  if (profile.baton_proxy) {
    checker.watch_failures();
  }
  if (profile.ranks == 2 && profile.level == FaultLevel::kNone) {
    checker.watch_ranks();
  }
  hub.set_drop_write(
      [this](const Epoch& writer, const Epoch& receiver, const transport::WriteOp& /*op*/) {
        return conditions.drop_write(writer, receiver);
      });
  conditions.set_landed([this](const transport::LoopbackConditions::Landing& landing) {
    history.note(conditions.name_of(landing.writer), "{} bytes land at {} page {} generation {}{}",
                 landing.length_bytes, conditions.name_of(landing.receiver), landing.page,
                 landing.generation, landing.straggler ? ", late" : "");
    checker.landed(landing);
    touch(conditions.name_of(landing.receiver));
  });
  hub.set_drop_read(
      [this](const Epoch& reader, const Epoch& receiver, const transport::ReadOp& /*op*/) {
        return conditions.drop_read(reader, receiver);
      });
  conditions.set_read([this](const transport::LoopbackConditions::Landing& landing) {
    history.note(conditions.name_of(landing.writer), "reads {} bytes of {} page {} generation {}",
                 landing.length_bytes, conditions.name_of(landing.receiver), landing.page,
                 landing.generation);
    checker.read_landed(landing);
  });
  conditions.set_fenced([this](const Epoch& writer, const Epoch& receiver) {
    history.note(conditions.name_of(receiver), "has fenced {}", conditions.name_of(writer));
    checker.fenced(writer, receiver);
  });
  conditions.set_fencing([this](const Epoch& writer, const Epoch& receiver) {
    checker.fencing(writer, receiver);
    checker.disturbed(writer, receiver);
    if (profile.level == FaultLevel::kNone) {
      checker.broken(Promise::kP5, conditions.name_of(receiver) + " gives " +
                                       conditions.name_of(writer) + " up, which lives");
    }
  });
  network.set_filter([this](const control::Envelope& envelope) {
    checker.message_sent(envelope);
    return conditions.carry(envelope);
  });
}

}  // namespace baton::simulation
