#include "tests/simulation/engine/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/simulation/world/timing.h"

namespace baton::simulation {
namespace {

constexpr std::uint32_t kMaxAttempts = 4;
constexpr std::uint32_t kMaxRankAttempts = 2;  // of one proxy attempt, where TP is 1
constexpr std::uint32_t kMaxWaits = 100;       // for a proxy or a prefiller to come back
constexpr Duration kBackoff = milliseconds(10);
constexpr std::uint32_t kImplicitPercent = 20;
constexpr std::uint32_t kCountedPercent = 25;
constexpr std::uint32_t kInPlacePercent = 40;
/// Of failed attempts: whoever runs the decoder hears of it and ends its part at once.
constexpr std::uint32_t kDecoderHearsPercent = 70;

}  // namespace

Job::Job(World& world, Fleet& fleet, std::uint64_t number, Prompt prompt, Random random)
    : world_(world), fleet_(fleet), number_(number), prompt_(std::move(prompt)), random_(random) {}

// ---- assigning ---------------------------------------------------------------------------------

void Job::begin_attempt() {
  if (attempts_ == kMaxAttempts || waits_ == kMaxWaits) {
    finish(Outcome::kFailed);
    return;
  }
  if (!fleet_.proxy->alive()) {
    ++waits_;
    world_.clock.run_after(kBackoff, of_attempt([](Job& job) { job.begin_attempt(); }));
    return;
  }
  ++attempts_;
  state_ = State::kPrefilling;
  proxy_epoch_ = fleet_.proxy->epoch();
  fleet_.proxy->post(of_attempt([](Job& job) { job.assign(); }));
}

void Job::assign() {
  const auto assigned =
      fleet_.proxy->router().open(key_of(prompt_.chunks.front(), world_.profile.ranks, 0));
  if (!assigned.ok()) {
    fail_attempt("no assignment");
    return;
  }
  req_id_ = assigned->req_id;
  prefiller_ = assigned->prefiller;
  decoder_ = assigned->decoder;
  world_.history.note("proxy", "job {} is {} with {} chunks, p{} -> d{}", number_, req_id_,
                      prompt_.chunks.size(), prefiller_, decoder_);
  const auto call = world_.checker.calls().begin(fleet_.proxy->scheduler(),
                                                 fmt::format("wait for {}", req_id_), kGateTimeout);
  const Status expected = fleet_.proxy->gate().expect(
      req_id_, world_.profile.ranks, kGateTimeout,
      [call, &world = world_, step = of_attempt([](Job& job, const Status& status) {
                                job.on_released(status);
                              })](const Status& status) mutable {
        world.checker.calls().end(call);
        step(status);
      });
  if (!expected.ok()) {
    fail_attempt("the gate takes no more");
    return;
  }
  plan_ = {};
  plan_.req_id = req_id_;
  plan_.prompt = prompt_;
  plan_.opens = !world_.profile.implicit_too || !random_.percent(kImplicitPercent);
  plan_.counted = random_.percent(kCountedPercent);
  plan_.in_place = world_.profile.in_place_too && plan_.opens && random_.percent(kInPlacePercent);
  plan_.abandons = random_.ppm(world_.profile.rates.abandon);
  plan_.chunks_per_put = random_.between(1U, static_cast<std::uint32_t>(prompt_.chunks.size()));
  prefill_.assign(world_.profile.ranks, nullptr);
  decode_.assign(world_.profile.ranks, nullptr);
  decoded_ = 0;
  rank_attempts_ = 1;
  plan_.attempt = random_.next();
  for (std::uint32_t rank = 0; rank < world_.profile.ranks; ++rank) {
    start_prefill(rank);
  }
}

// ---- prefilling --------------------------------------------------------------------------------

void Job::start_prefill(std::uint32_t rank) {
  SenderProcess& process = *fleet_.prefillers[prefiller_][rank];
  if (!process.alive()) {
    world_.clock.post(of_attempt([](Job& job) {
      --job.attempts_;  // As long as this lasts, a proxy would try again.
      ++job.waits_;
      job.fail_attempt("its prefiller is down");
    }));
    return;
  }
  plan_.rank = rank;
  prefill_[rank] = std::make_shared<PrefillLeg>(
      world_, process, fleet_.decoders[decoder_][rank]->address(), plan_, random_.fork(),
      of_attempt([rank](Job& job, const Status& status) { job.on_prefilled(rank, status); }));
  prefill_[rank]->start();
}

void Job::on_prefilled(std::uint32_t rank, const Status& status) {
  if (state_ != State::kPrefilling) {
    return;
  }
  if (status.ok()) {
    const bool all = std::ranges::all_of(
        prefill_, [](const auto& leg) { return leg != nullptr && !leg->running(); });
    if (all) {
      tell_proxy(false);
    }
    return;
  }
  if (plan_.abandons && absl::IsCancelled(status)) {
    end_attempt("given back");
    finish(Outcome::kCancelled);
    return;
  }
  // A second attempt under the same name: only where no other rank may have told the proxy.
  if (world_.profile.ranks == 1 && !world_.profile.baton_proxy &&
      rank_attempts_ < kMaxRankAttempts && random_.percent(50)) {
    ++rank_attempts_;
    plan_.attempt = random_.next();
    world_.clock.run_after(random_.between(Duration(1), kBackoff),
                           of_attempt([rank](Job& job) { job.start_prefill(rank); }));
    return;
  }
  fail_attempt(status.message().empty() ? "prefill failed" : "a put failed");
}

void Job::on_released(const Status& status) {
  if (state_ != State::kPrefilling) {
    return;
  }
  if (!status.ok()) {
    world_.coverage.hit(absl::IsAborted(status) ? Point::kProxyHeardOfFailure
                                                : Point::kProxyTimedOut);
    fail_attempt("not released");
    return;
  }
  world_.coverage.hit(Point::kReleasedByProxy);
  world_.history.note("proxy", "releases {}", req_id_);
  std::vector<Checker::AttemptName> ranks;
  for (const auto& leg : prefill_) {
    if (leg != nullptr) {
      ranks.push_back(leg->name());
    }
  }
  world_.checker.released(ranks);
  state_ = State::kDecoding;
  for (std::uint32_t rank = 0; rank < world_.profile.ranks; ++rank) {
    ReceiverProcess& process = *fleet_.decoders[decoder_][rank];
    if (!process.alive()) {
      fail_attempt("its decoder is down");
      return;
    }
    decode_[rank] = std::make_shared<DecodeLeg>(
        world_, process, req_id_, prompt_.keys(world_.profile.ranks, rank), random_.fork(),
        of_attempt([](Job& job, const Status& ended) { job.on_decoded(ended); }));
    decode_[rank]->start();
  }
}

void Job::on_decoded(const Status& status) {
  if (!status.ok()) {
    fail_attempt("a claim failed");
  } else if (++decoded_ == world_.profile.ranks) {
    end_attempt("");
    finish(Outcome::kCompleted);
  }
}

// ---- ending ------------------------------------------------------------------------------------

void Job::tell_proxy(bool forget) {
  if (fleet_.proxy->alive() && fleet_.proxy->epoch() == proxy_epoch_) {
    fleet_.proxy->post([&proxy = *fleet_.proxy, req_id = req_id_, forget] {
      if (forget) {
        proxy.gate().forget(req_id);
        proxy.router().close(req_id);
      } else {
        proxy.router().prefilled(req_id);
      }
    });
  }
}

void Job::end_attempt(std::string_view why) {
  ++serial_;
  if (req_id_.empty()) {
    return;
  }
  tell_proxy(true);
  for (const auto& leg : prefill_) {
    if (leg != nullptr && leg->process().alive() && leg->process().epoch() == leg->name().sender) {
      leg->process().post([&process = leg->process(), req_id = req_id_] {
        process.sender().cancel(req_id, absl::CancelledError("its engine gave it up"));
      });
    }
    if (leg != nullptr) {
      world_.checker.staging_closed(leg->name());
      leg->forget();
    }
  }
  for (const auto& leg : decode_) {
    if (leg != nullptr) {
      leg->forget();
    }
  }
  if (!why.empty() && random_.percent(kDecoderHearsPercent)) {
    cancel_at_decoder();
  }
  req_id_.clear();
}

void Job::fail_attempt(std::string_view why) {
  world_.history.note("", "job {}: attempt {} failed: {}", number_, attempts_, why);
  end_attempt(why);
  state_ = State::kWaiting;
  world_.clock.run_after(random_.between(Duration(1), kBackoff) * (attempts_ + 1),
                         of_attempt([](Job& job) { job.begin_attempt(); }));
}

void Job::cancel() {
  if (state_ == State::kDone) {
    return;
  }
  world_.history.note("", "FAULT the user of job {} cancels it", number_);
  end_attempt("cancelled");
  finish(Outcome::kCancelled);
}

void Job::cancel_at_decoder() {
  world_.checker.disturbed(req_id_);
  for (const auto& process : fleet_.decoders[decoder_]) {
    if (process->alive() && !req_id_.empty()) {
      process->post([&receiver = *process, req_id = req_id_, this_world = &world_] {
        this_world->checker.disturbed(req_id);
        receiver.receiver().cancel_request(req_id);
      });
    }
  }
}

void Job::on_crash(const Process& process) {
  bool hit = state_ == State::kPrefilling && &process == fleet_.proxy.get();
  for (const auto& leg : prefill_) {
    hit |= leg != nullptr && leg->running() && &leg->process() == &process;
  }
  for (const auto& leg : decode_) {
    hit |= leg != nullptr && leg->running() && &leg->process() == &process;
  }
  if (hit && (state_ == State::kPrefilling || state_ == State::kDecoding)) {
    fail_attempt("a process of it crashed");
  }
}

void Job::finish(Outcome outcome) {
  ++serial_;
  state_ = State::kDone;
  outcome_ = outcome;
  prefill_.clear();
  decode_.clear();
  constexpr const char* kNames[] = {"completed", "failed", "cancelled"};
  world_.history.note("", "job {} {}", number_, kNames[static_cast<int>(outcome)]);
}

}  // namespace baton::simulation
