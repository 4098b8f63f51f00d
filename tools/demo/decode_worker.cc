#include "tools/demo/decode_worker.h"

#include <algorithm>
#include <thread>

#include "tools/demo/faults.h"
#include "tools/demo/worker.h"

namespace baton::demo {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSettleLimit{5'000};
constexpr milliseconds kSettlePause{10};

class DecodeWorker {
 public:
  DecodeWorker(MessagePipe& pipe, const Setup& setup)
      : pipe_(pipe), setup_(setup), deadline_(deadline_of(setup)) {}

  Status run();

 private:
  Status start();
  DecodeDone decode(const DecodeJob& job);
  StatusOr<std::vector<Step>> steps_of(const DecodeJob& job);
  WorkerEnd end();

  MessagePipe& pipe_;
  const Setup setup_;
  const Clock::time_point deadline_;
  const FaultCount damaged_ = std::make_shared<std::atomic<std::uint32_t>>(0);
  Engine engine_;
  std::unique_ptr<PdBackend> backend_;
};

Status DecodeWorker::start() {
  auto engine = Engine::create(setup_);
  if (!engine.ok()) {
    return engine.status();
  }
  engine_ = *std::move(engine);
  FaultInjection faults = make_faults(setup_, damaged_);
  auto backend = PdBackend::create(backend_options(setup_, Role::kReceiver, *engine_.model),
                                   layout_of(setup_, *engine_.model), &faults);
  if (!backend.ok()) {
    return backend.status();
  }
  backend_ = *std::move(backend);
  return pipe_.send(WorkerReady{backend_->init_port(), backend_->alloc_port()});
}

StatusOr<std::vector<Step>> DecodeWorker::steps_of(const DecodeJob& job) {
  const auto claim = backend_->claim(job.req_id, keys_of(job.prompt, setup_, *engine_.model));
  if (!claim.ok()) {
    return claim.status();
  }
  std::vector<engine::KvChunk> chunks;
  for (const MemoryObj& object : claim->chunks()) {
    const auto tokens = object.meta().tokens();
    if (!tokens.ok()) {
      return tokens.status();
    }
    chunks.push_back({object.bytes(), static_cast<std::uint32_t>(*tokens)});
  }
  if (Status imported = engine_.session->import_chunks(chunks); !imported.ok()) {
    return imported;
  }
  return engine::decode_greedily(*engine_.session, job.first_token, setup_.tokens - 1);
}

DecodeDone DecodeWorker::decode(const DecodeJob& job) {
  DecodeDone done;
  done.index = job.index;
  auto steps = steps_of(job);
  if (steps.ok()) {
    done.steps = *std::move(steps);
  } else {
    done.error = std::string(steps.status().message());
  }
  return done;
}

WorkerEnd DecodeWorker::end() {
  // The prefillers have ended. A failed put's pages stay in quarantine until its writer is fenced,
  // which takes a moment that the backend has no event for: it is asked again, for a bounded time.
  const auto limit = std::min(deadline_, Clock::now() + kSettleLimit);
  BackendStats stats = backend_->stats();
  while (stats.pages_free + stats.pages_retained != stats.pages_total && Clock::now() < limit) {
    std::this_thread::sleep_for(kSettlePause);
    stats = backend_->stats();
  }
  backend_->evict_all_retained();
  return {.transports = {},
          .pages_total = stats.pages_total,
          .pages_retained = stats.pages_retained,
          .pages_free_after_evict = backend_->stats().pages_free,
          .faults = damaged_->load()};
}

Status DecodeWorker::run() {
  if (Status started = start(); !started.ok()) {
    return started;
  }
  while (true) {
    auto message = pipe_.receive(deadline_);
    if (!message.ok()) {
      return message.status();
    }
    if (const auto* job = std::get_if<DecodeJob>(&*message)) {
      if (Status sent = pipe_.send(decode(*job)); !sent.ok()) {
        return sent;
      }
    } else if (std::holds_alternative<Finish>(*message)) {
      return pipe_.send(end());
    } else {
      return absl::DataLossError(std::string("a decoder got a message that is not for it"));
    }
  }
}

}  // namespace

int run_decode_worker(UniqueFd socket) {
  return run_worker(std::move(socket), [](MessagePipe& pipe) {
    const auto setup = pipe.receive_a<Setup>(Clock::now() + std::chrono::minutes(1));
    return setup.ok() ? DecodeWorker(pipe, *setup).run() : setup.status();
  });
}

}  // namespace baton::demo
