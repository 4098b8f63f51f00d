#include "tests/fault/soak/round.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

namespace baton::soak {
namespace {

/// No request may take longer: admission, handshake, put, release and claim, each to its limit.
// On a machine of slowness 1.
constexpr std::chrono::seconds kRequestsLimit{25};
constexpr std::chrono::seconds kStartLimit{10};
/// Messages of a round; the victim dies at one of these.
constexpr std::uint32_t kLastKill = kRequestsPerRound * 3;

std::uint32_t bit(std::uint32_t rank) {
  return 1U << rank;
}

std::uint32_t all_bits(std::uint32_t ranks) {
  return bit(ranks) - 1;
}

/// Waits for something to read; indexes of the workers that have.
std::vector<std::size_t> readable(const std::vector<Worker>& workers,
                                  std::chrono::steady_clock::time_point deadline) {
  std::vector<pollfd> polled;
  for (const Worker& worker : workers) {
    polled.push_back({worker.process->channel().fd(), POLLIN, 0});
  }
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  std::vector<std::size_t> ready;
  if (left.count() > 0 && poll(polled.data(), polled.size(), static_cast<int>(left.count())) > 0) {
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents != 0) {
        ready.push_back(i);
      }
    }
  }
  return ready;
}

}  // namespace

bool await_ready(const Fleet& fleet, std::vector<Worker>& workers) {
  const auto deadline = std::chrono::steady_clock::now() + fleet.options().slowness * kStartLimit;
  for (Worker& worker : workers) {
    pollfd polled{worker.process->channel().fd(), POLLIN, 0};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    worker.ready = poll(&polled, 1, std::max(0, static_cast<int>(left.count()))) == 1 &&
                   worker.process->channel().receive().has_value();
    if (!worker.ready) {
      return false;
    }
  }
  return true;
}

Round::Round(const Fleet& fleet, std::vector<Worker>& workers, std::uint64_t number)
    : fleet_(fleet), workers_(workers), number_(number) {
  for (std::uint32_t i = 0; i < kRequestsPerRound; ++i) {
    requests_.emplace_back().plan = plan_request(fleet.options().seed, number, i);
  }
  Random random = round_random(fleet.options().seed, number);
  kill_at_ = 1 + random.below(kLastKill);
  victim_ = random.below(static_cast<std::uint32_t>(workers.size()));
  tells_decoders_ = !random.one_in(4);
}

const std::vector<std::string>& Round::run(Totals& totals) {
  const auto began = Clock::now();
  summary_ = fmt::format("kill -9 of {} at event {}", workers_[victim_].process->name(), kill_at_);
  begin_requests();
  await_all();
  if (wrongs_.empty()) {
    settle();
  }
  judge(totals);
  summary_ += fmt::format(
      " ({} ms)",
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began).count());
  return wrongs_;
}

// ---- a request's way ---------------------------------------------------------------------------

void Round::begin_requests() {
  const auto under_way = std::count_if(requests_.begin(), requests_.end(),
                                       [](const Request& r) { return r.begun && !r.ended(); });
  for (auto count = under_way; count < kWindow && next_ < requests_.size(); ++count) {
    begin(next_++);
  }
}

void Round::begin(std::uint32_t number) {
  Request& request = requests_[number];
  request.begun = true;
  for (const Worker& worker : workers_) {
    const bool reaches_all = worker.ready && worker.knows_proxy;
    request.touched |= !reaches_all && concerns(worker.place, request.plan);
  }
  request.expecting = true;
  tell(worker(Part::kProxy, 0, 0), Word::kExpect, number);
}

void Round::on_answer(Worker& from, Request& request, const Message& message) {
  const std::uint32_t ranks = fleet_.options().ranks;
  const std::uint32_t rank = bit(from.place.rank);
  const Status status = message.status();
  if (message.word == Word::kExpected && request.expecting) {
    request.expecting = false;
    if (!status.ok()) {
      fail(request, message.number, status);
      return;
    }
    request.releasing = true;
    request.prefilling = all_bits(ranks);
    for (std::uint32_t i = 0; i < ranks; ++i) {
      tell(worker(Part::kPrefiller, request.plan.prefiller, i), Word::kPrefill, message.number);
    }
  } else if (message.word == Word::kPrefilled) {
    request.prefilling &= ~rank;
    request.refused |= absl::IsResourceExhausted(status);
    if (!status.ok()) {
      fail(request, message.number, status);
    }
  } else if (message.word == Word::kReleased && request.releasing) {
    request.releasing = false;
    if (!status.ok()) {
      fail(request, message.number, status);
      return;
    }
    request.claiming = all_bits(ranks);
    for (std::uint32_t i = 0; i < ranks; ++i) {
      worker(Part::kPrefiller, request.plan.prefiller, i).knows_proxy = true;
      tell(worker(Part::kDecoder, request.plan.decoder, i), Word::kClaim, message.number);
    }
  } else if (message.word == Word::kClaimed && (request.claiming & rank) != 0) {
    request.claiming &= ~rank;
    request.wrong_chunks += message.count;
    request.claimed += status.ok() && message.count == 0 ? 1 : 0;
    if (!status.ok()) {
      fail(request, message.number, status);
    }
  }
}

void Round::fail(Request& request, std::uint32_t number, const Status& why) {
  if (!request.failure.ok()) {
    return;
  }
  request.failure = why;
  if (request.releasing) {
    tell(worker(Part::kProxy, 0, 0), Word::kForget, number);
  }
  for (std::uint32_t rank = 0; tells_decoders_ && rank < fleet_.options().ranks; ++rank) {
    tell(worker(Part::kDecoder, request.plan.decoder, rank), Word::kCancel, number);
  }
}

// ---- deaths ------------------------------------------------------------------------------------

bool Round::concerns(const Place& place, const RequestPlan& plan) const {
  return place.part == Part::kProxy ||
         (place.part == Part::kPrefiller && place.index == plan.prefiller) ||
         (place.part == Part::kDecoder && place.index == plan.decoder);
}

void Round::kill_and_restart() {
  kill_at_ = 0;
  Worker& victim = workers_[victim_];
  victim.process->kill_and_reap();
  on_death(victim);
  victim.process = fleet_.spawn(victim.place);
}

void Round::on_death(Worker& worker) {
  worker.ready = false;
  worker.knows_proxy = true;  // Its successor knows no other.
  if (worker.place.part == Part::kProxy) {
    for (Worker& other : workers_) {
      other.knows_proxy = other.place.part != Part::kPrefiller;
    }
  }
  for (Request& request : requests_) {
    if (request.begun && !request.ended() && concerns(worker.place, request.plan)) {
      request.touched = true;
      on_broken(request, worker);
    }
  }
}

/// Whoever asked it sees the broken connection.
void Round::on_broken(Request& request, const Worker& worker) {
  const auto number = static_cast<std::uint32_t>(&request - requests_.data());
  const std::uint32_t rank = bit(worker.place.rank);
  bool owed = false;
  switch (worker.place.part) {
    case Part::kPrefiller:
      // Its word to the proxy, given at most once, may be lost with it.
      owed = (request.prefilling & rank) != 0 || request.releasing;
      request.prefilling &= ~rank;
      break;
    case Part::kDecoder:
      owed = (request.claiming & rank) != 0;
      request.claiming &= ~rank;
      break;
    case Part::kProxy:
      owed = request.expecting || request.releasing;
      request.expecting = false;
      request.releasing = false;
      break;
  }
  if (owed) {
    fail(request, number,
         absl::UnavailableError(fmt::format("{} was killed", worker.process->name())));
  }
}

// ---- events ------------------------------------------------------------------------------------

void Round::await_all() {
  const auto deadline = Clock::now() + fleet_.options().slowness * kRequestsLimit;
  const auto all_ended = [this] {
    return kill_at_ == 0 &&
           std::all_of(workers_.begin(), workers_.end(),
                       [](const Worker& worker) { return worker.ready; }) &&
           std::all_of(requests_.begin(), requests_.end(),
                       [](const Request& request) { return request.ended(); });
  };
  while (!all_ended() && wrongs_.empty() && Clock::now() < deadline) {
    wait_for_event(deadline);
    begin_requests();
    const bool is_over = std::all_of(requests_.begin(), requests_.end(),
                                     [](const Request& request) { return request.ended(); });
    if (kill_at_ != 0 && (events_ >= kill_at_ || is_over)) {
      kill_and_restart();
    }
  }
}

void Round::wait_for_event(Clock::time_point deadline) {
  for (const std::size_t index : readable(workers_, deadline)) {
    Worker& worker = workers_[index];
    const auto message = worker.process->channel().receive();
    if (!message.has_value()) {
      wrongs_.push_back(fmt::format("{} died, and nobody had killed it", worker.process->name()));
      return;
    }
    on_message(worker, *message);
  }
}

void Round::on_message(Worker& worker, const Message& message) {
  if (message.word == Word::kReady) {
    worker.ready = true;
  } else if (message.word == Word::kSettled) {
    --settling_;
    lost_pages_ += message.count;
    if (!message.status().ok()) {
      wrongs_.push_back(fmt::format("{} did not get everything back within {} ms: {}",
                                    worker.process->name(), fleet_.settle_limit().count(),
                                    std::string(message.status().message())));
    }
  } else if (message.round == number_ && message.number < requests_.size()) {
    ++events_;
    on_answer(worker, requests_[message.number], message);
  }
}

/// Everything has ended; now everything must come back.
void Round::settle() {
  for (Worker& worker : workers_) {
    if (worker.place.part != Part::kProxy) {
      ++settling_;
      tell(worker, Word::kSettle, 0);
    }
  }
  const auto deadline = Clock::now() + 2 * fleet_.settle_limit();
  while (settling_ > 0 && Clock::now() < deadline) {
    wait_for_event(deadline);
    if (!wrongs_.empty()) {
      break;
    }
  }
  if (settling_ > 0 && wrongs_.empty()) {
    wrongs_.push_back(fmt::format("{} processes hang", settling_));
  }
}

// ---- the account -------------------------------------------------------------------------------

void Round::judge(Totals& totals) {
  ++totals.rounds;
  std::uint64_t identical = 0;
  std::uint64_t failed = 0;
  for (const Request& request : requests_) {
    ++totals.requests;
    const std::string& name = request.plan.req_id;
    if (request.wrong_chunks > 0) {
      ++totals.mismatched;
      wrongs_.push_back(fmt::format("request {}: {} chunks differ", name, request.wrong_chunks));
    } else if (!request.ended()) {
      wrongs_.push_back(fmt::format(
          "request {} hangs: proxy owes {}, prefiller ranks {:b}, decoder ranks {:b}", name,
          request.expecting   ? "its start"
          : request.releasing ? "its release"
                              : "nothing",
          request.prefilling, request.claiming));
    } else if (request.failure.ok()) {
      ++identical;
    } else {
      ++failed;
      // One that was not opened is admitted at once or refused, by staging and by the decoder.
      const bool may_fail =
          request.touched || request.plan.cancelled || (!request.plan.opened && request.refused);
      if (!may_fail) {
        wrongs_.push_back(
            fmt::format("request {} had to succeed, but: {}", name, request.failure.ToString()));
      }
    }
  }
  totals.identical += identical;
  totals.failed += failed;
  totals.lost_pages += lost_pages_;
  summary_ += fmt::format(": {} identical, {} failed", identical, failed);
}

Worker& Round::worker(Part part, std::uint32_t index, std::uint32_t rank) {
  return *std::find_if(workers_.begin(), workers_.end(), [&](const Worker& worker) {
    return worker.place.part == part && worker.place.index == index && worker.place.rank == rank;
  });
}

void Round::tell(Worker& to, Word word, std::uint32_t number) {
  Message message;
  message.word = word;
  message.round = number_;
  message.number = number;
  static_cast<void>(to.process->channel().send(message));  // Its end is read soon.
}

}  // namespace baton::soak
