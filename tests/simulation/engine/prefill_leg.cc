#include "tests/simulation/engine/prefill_leg.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/simulation/world/timing.h"

namespace baton::simulation {

PrefillLeg::PrefillLeg(World& world, SenderProcess& process, const sender::Address& receiver,
                       Plan plan, Random random, Ended ended)
    : world_(world),
      process_(process),
      epoch_(process.epoch()),
      receiver_(receiver),
      plan_(std::move(plan)),
      keys_(plan_.prompt.keys(world.profile.ranks, plan_.rank)),
      random_(random),
      ended_(std::move(ended)) {}

void PrefillLeg::post(void (PrefillLeg::*step)()) {
  if (!process_.alive() || process_.epoch() != epoch_) {
    return;
  }
  process_.post([weak = weak_from_this(), step] {
    if (const auto leg = weak.lock(); leg != nullptr && leg->running()) {
      (leg.get()->*step)();
    }
  });
}

void PrefillLeg::start() {
  post(plan_.opens ? &PrefillLeg::open : &PrefillLeg::compute_next);
}

void PrefillLeg::forget() {
  ended_ = nullptr;
  staged_ = std::vector<MemoryObj>();
  reservation_.reset();
}

// ---- opening -----------------------------------------------------------------------------------

void PrefillLeg::open() {
  const auto call = world_.checker.calls().begin(
      process_.scheduler(), fmt::format("open of {} at {}", plan_.req_id, process_.name()),
      kAdmissionTimeout + kAdmissionSlack);
  sender::OpenSpec spec;
  spec.receiver = receiver_;
  spec.key = {plan_.req_id, plan_.attempt};
  spec.keys = keys_;
  spec.timeout = kAdmissionTimeout;
  spec.in_place = plan_.in_place;
  if (plan_.counted) {
    spec.total_chunks = static_cast<std::uint32_t>(keys_.size());
    spec.keys.clear();
  }
  world_.history.note(process_.name(), "opens {}/{} for {} chunks", plan_.req_id, plan_.attempt,
                      keys_.size());
  process_.sender().open(std::move(spec), [weak = weak_from_this(), call, &world = world_,
                                           name = name(), &process = process_](auto opened) {
    world.checker.calls().end(call);
    if (const auto leg = weak.lock(); leg != nullptr && leg->running()) {
      leg->on_opened(std::move(opened));
    } else if (opened.ok()) {
      world.checker.staging_closed(name);
      process.sender().release({name.req_id, name.attempt});
    }
  });
}

void PrefillLeg::on_opened(StatusOr<std::shared_ptr<StagingReservation>> opened) {
  world_.history.note(process_.name(), "{}/{} opened: {}", plan_.req_id, plan_.attempt,
                      opened.status().ToString());
  if (!opened.ok()) {
    world_.checker.staging_closed(name());
    finish(opened.status());
    return;
  }
  reservation_ = *std::move(opened);
  compute_next();
}

// ---- putting -----------------------------------------------------------------------------------

void PrefillLeg::compute_next() {
  const std::size_t count = std::min<std::size_t>(plan_.chunks_per_put, keys_.size() - next_chunk_);
  const Duration takes = random_.between(Duration(1), 2 * world_.profile.chunk_compute) *
                         static_cast<Duration::rep>(count);
  if (plan_.in_place) {
    staged_ = stage(next_chunk_, count);
  }
  world_.clock.run_after(takes, [weak = weak_from_this()] {
    if (const auto leg = weak.lock()) {
      leg->post(&PrefillLeg::put_next);
    }
  });
}

StatusOr<std::vector<MemoryObj>> PrefillLeg::stage(std::size_t first, std::size_t count) {
  std::vector<MemoryObj> staged;
  std::uint32_t reserved = 0;
  places_.clear();
  for (std::size_t i = first; i < first + count; ++i) {
    const TensorMeta meta = meta_of(plan_.prompt.chunks[i].tokens());
    auto taken = reservation_ != nullptr ? reservation_->batched_allocate(meta, 1)
                                         : process_.staging().batched_allocate(meta, 1);
    if (!taken.ok()) {
      return taken.status();
    }
    auto& place = places_.emplace_back();
    if (taken->front().in_place()) {
      place = world_.checker.lent(epoch_, taken->front().bytes().data());
      world_.history.note(process_.name(), "computes a chunk of {}/{} in a page ahead{}",
                          plan_.req_id, plan_.attempt, place.has_value() ? "" : " that is gone");
    } else {
      const std::vector<std::byte>& bytes = world_.content.of(keys_[i]);
      std::ranges::copy(bytes, taken->front().bytes().begin());
      ++reserved;
    }
    staged.push_back(std::move(taken->front()));
  }
  if (reservation_ != nullptr) {
    world_.checker.staging_taken(name(), reserved);
  }
  return staged;
}

void PrefillLeg::write_in_place(std::size_t first, std::vector<MemoryObj>& objects) {
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (!objects[i].in_place() || !places_[i].has_value() || !world_.checker.reaches(*places_[i])) {
      continue;
    }
    const std::vector<std::byte>& bytes = world_.content.of(keys_[first + i]);
    std::ranges::copy(bytes, objects[i].bytes().begin());
    world_.checker.wrote(epoch_, *places_[i], bytes.size());
    world_.touch(world_.conditions.name_of(places_[i]->receiver));
  }
}

void PrefillLeg::put_next() {
  const std::size_t first = next_chunk_;
  const std::size_t count = std::min<std::size_t>(plan_.chunks_per_put, keys_.size() - first);
  const bool is_last = first + count == keys_.size();
  if (plan_.abandons && is_last) {
    abandon();
    return;
  }
  auto staged =
      plan_.in_place ? std::exchange(staged_, std::vector<MemoryObj>()) : stage(first, count);
  if (!staged.ok()) {
    if (reservation_ != nullptr) {
      world_.checker.broken(Promise::kP4,
                            fmt::format("request {} was opened, but {} gives it no staging: {}",
                                        plan_.req_id, process_.name(), staged.status().ToString()));
    }
    process_.sender().cancel(plan_.req_id, absl::CancelledError("no staging"));
    finish(staged.status());
    return;
  }
  write_in_place(first, *staged);
  next_chunk_ += count;
  sender::PutSpec spec;
  spec.req_id = plan_.req_id;
  spec.attempt = plan_.attempt;
  const std::vector<std::string> keys(keys_.begin() + static_cast<std::ptrdiff_t>(first),
                                      keys_.begin() + static_cast<std::ptrdiff_t>(first + count));
  spec.keys = keys;
  spec.objects = *std::move(staged);
  spec.last_chunk_toks = plan_.prompt.chunks[first + count - 1].tokens();
  spec.is_last = is_last;
  spec.total_chunks = static_cast<std::uint32_t>(keys_.size());
  spec.timeout = kPutTimeout;
  auto batch = std::make_shared<Batch>();
  batch->keys = count;
  batch->state = std::make_shared<detail::PutState>(process_.scheduler());
  batch->call = world_.checker.calls().begin(
      process_.scheduler(), fmt::format("put of {} at {}", plan_.req_id, process_.name()),
      kPutTimeout + kDrainTimeout);
  spec.on_key_done = [self = shared_from_this(), batch](const std::string& /*key*/,
                                                        const Status& status) {
    self->on_key_done(batch, status);
  };
  world_.history.note(process_.name(), "puts {} chunks of {}/{}{}", count, plan_.req_id,
                      plan_.attempt, is_last ? ", the last" : "");
  world_.checker.submitted(name(), keys, is_last);
  ++puts_out_;
  process_.sender().submit(receiver_, std::move(spec), batch->state);
  if (is_last) {
    reservation_.reset();
    world_.checker.staging_closed(name());
  } else {
    compute_next();
  }
}

void PrefillLeg::on_key_done(const std::shared_ptr<Batch>& batch, const Status& status) {
  batch->status.Update(status);
  if (++batch->told < batch->keys) {
    return;
  }
  world_.checker.calls().end(batch->call);  // Complains if there is one key too many.
  world_.checker.put_ended(name(), batch->status);
  process_.post([self = shared_from_this(), batch] { self->on_put_done(batch); });
}

void PrefillLeg::on_put_done(const std::shared_ptr<Batch>& batch) {
  if (!batch->state->done()) {
    world_.checker.broken(Promise::kP5, fmt::format("a put of {} has told its keys, but its handle "
                                                    "does not know",
                                                    plan_.req_id));
  }
  --puts_out_;
  world_.history.note(process_.name(), "a put of {}/{} ended: {}", plan_.req_id, plan_.attempt,
                      batch->status.ToString());
  if (!batch->status.ok()) {
    finish(batch->status);
  } else if (puts_out_ == 0 && next_chunk_ == keys_.size()) {
    finish(absl::OkStatus());
  }
}

void PrefillLeg::abandon() {
  world_.coverage.hit(Point::kAbandon);
  world_.history.note(process_.name(), "gives {}/{} back", plan_.req_id, plan_.attempt);
  if (reservation_ != nullptr) {
    process_.sender().release({plan_.req_id, plan_.attempt});
  } else {
    process_.sender().cancel(plan_.req_id, absl::CancelledError("abandoned"));
  }
  finish(absl::CancelledError("given back"));
}

void PrefillLeg::finish(const Status& status) {
  if (!running()) {
    return;
  }
  staged_ = std::vector<MemoryObj>();
  if (reservation_ != nullptr) {
    reservation_.reset();
    world_.checker.staging_closed(name());
    process_.sender().release({plan_.req_id, plan_.attempt});
  }
  world_.clock.post([ended = std::exchange(ended_, nullptr), status]() mutable { ended(status); });
}

}  // namespace baton::simulation
