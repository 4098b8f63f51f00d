#include "tests/simulation/engine/readers.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/simulation/engine/prompt.h"
#include "tests/simulation/world/timing.h"
#include "tests/simulation/world/world.h"

namespace baton::simulation {
namespace {

constexpr Duration kBetweenReads = milliseconds(4);
constexpr Duration kMaxKept = milliseconds(10);
constexpr std::uint32_t kCancelPercent = 10;
constexpr std::uint32_t kHurriedPercent = 10;
/// What local memory is full of before a read: no chunk's bytes, and no poison.
constexpr std::byte kUnread{0x5A};

}  // namespace

/// One read, from its submission until its reader has looked at the chunks and lets them go.
struct Readers::Batch {
  std::string name;
  std::string reader;
  std::vector<std::string> keys;
  std::vector<std::uint32_t> tokens;
  std::vector<MemoryObj> objects;
  std::vector<Status> told;
  Duration timeout{};
  Duration kept{};
  Duration cancelled_after{};  // zero: never
  CallWatch::CallId call = 0;
  std::shared_ptr<detail::ReadState> state;
};

void Readers::schedule() {
  if (!stopped_) {
    world_.clock.run_after(random_.between(Duration(1), 2 * kBetweenReads), lifetime_.guard([this] {
      read();
      schedule();
    }));
  }
}

void Readers::read() {
  const std::size_t rank = random_.below(world_.profile.ranks);
  SenderProcess& reader = *random_.pick(fleet_.prefillers)[rank];
  ReceiverProcess& from = *random_.pick(fleet_.decoders)[rank];
  // Of those that may have come by now.
  const std::uint64_t come = std::min<std::uint64_t>(world_.profile.requests, 1 + reads_ / 2);
  const Prompt prompt = make_prompt(random_, world_.profile, random_.below(come));
  auto batch = std::make_shared<Batch>();
  batch->name = fmt::format("read-{}", ++reads_);
  batch->reader = reader.name();
  batch->keys = prompt.keys(world_.profile.ranks, static_cast<std::uint32_t>(rank));
  for (const ChunkNumber chunk : prompt.chunks) {
    batch->tokens.push_back(chunk.tokens());
  }
  batch->timeout = random_.percent(kHurriedPercent) ? random_.between(Duration(1), milliseconds(3))
                                                    : kReadTimeout;
  batch->kept = random_.between(Duration(1), kMaxKept);
  if (random_.percent(kCancelPercent)) {
    batch->cancelled_after = random_.between(Duration(1), milliseconds(3));
  }
  if (reader.alive()) {
    reader.post([&world = world_, &reader, address = from.address(), batch] {
      submit(world, reader, address, batch);
    });
  }
}

void Readers::submit(World& world, SenderProcess& reader, const sender::Address& from,
                     const std::shared_ptr<Batch>& batch) {
  for (const std::uint32_t tokens : batch->tokens) {
    auto taken = reader.staging().batched_allocate(meta_of(tokens), 1);
    if (!taken.ok()) {
      batch->objects.clear();
      return;  // No staging is left, or a request waits for it.
    }
    std::ranges::fill(taken->front().bytes(), kUnread);
    batch->objects.push_back(std::move(taken->front()));
  }
  world.history.note(reader.name(), "begins {} of {} chunks", batch->name, batch->keys.size());
  batch->call = world.checker.calls().begin(reader.scheduler(),
                                            fmt::format("{} at {}", batch->name, reader.name()),
                                            batch->timeout + kDrainTimeout);
  batch->state = std::make_shared<detail::ReadState>(reader.scheduler());
  sender::ReadSpec spec;
  spec.req_id = batch->name;
  spec.keys = batch->keys;
  spec.objects = batch->objects;
  spec.timeout = batch->timeout;
  spec.on_key_done = [&world, batch](const std::string& key, const Status& status) {
    on_key_done(world, batch, key, status);
  };
  reader.sender().submit_read(from, std::move(spec), batch->state);
  if (batch->cancelled_after > Duration::zero()) {
    reader.scheduler().run_after(batch->cancelled_after, [&reader, name = batch->name] {
      reader.sender().cancel(name, absl::CancelledError("nobody wants it any more"));
    });
  }
}

void Readers::on_key_done(World& world, const std::shared_ptr<Batch>& batch, const std::string& key,
                          const Status& status) {
  if (batch->told.size() >= batch->keys.size() || batch->keys[batch->told.size()] != key) {
    world.checker.broken(
        Promise::kP5, fmt::format("{} calls key {} back out of turn, or twice", batch->name, key));
    return;
  }
  batch->told.push_back(status);
  world.coverage.hit(status.ok()                ? Point::kReadKey
                     : absl::IsNotFound(status) ? Point::kReadMissed
                     : absl::IsDataLoss(status) ? Point::kReadDamaged
                                                : Point::kReadFailed);
  if (batch->told.size() == batch->keys.size()) {
    on_ended(world, batch);
  }
}

void Readers::on_ended(World& world, const std::shared_ptr<Batch>& batch) {
  world.checker.calls().end(batch->call);
  look(world, *batch);
  // Not touched by anybody from here on.
  for (std::size_t i = 0; i < batch->objects.size(); ++i) {
    if (!batch->told[i].ok()) {
      std::ranges::fill(batch->objects[i].bytes(), kUnread);
    }
  }
  world.clock.run_after(batch->kept, [&world, batch] {
    look(world, *batch);
    for (std::size_t i = 0; i < batch->objects.size(); ++i) {
      const auto bytes = batch->objects[i].bytes();
      if (!batch->told[i].ok() &&
          !std::ranges::all_of(bytes, [](std::byte byte) { return byte == kUnread; })) {
        world.checker.broken(Promise::kP3,
                             fmt::format("{} of {} has ended, and still writes to its memory",
                                         batch->name, batch->reader));
      }
    }
    batch->objects.clear();
  });
}

void Readers::look(World& world, const Batch& batch) {
  for (std::size_t i = 0; i < batch.objects.size(); ++i) {
    if (batch.told[i].ok()) {
      world.checker.read(fmt::format("{} of {}", batch.name, batch.reader), batch.keys[i],
                         batch.objects[i].bytes());
    }
  }
}

}  // namespace baton::simulation
