#include "tools/demo/prefill_worker.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/epoch.h"
#include "src/engine/kv_blob.h"
#include "tools/demo/blocking_queue.h"
#include "tools/demo/faults.h"
#include "tools/demo/put_collector.h"
#include "tools/demo/worker.h"

namespace baton::demo {
namespace {

constexpr std::size_t kChunksPerPut = 4;

std::uint64_t random_nonce() {
  const Epoch random = Epoch::random();
  std::uint64_t nonce = 0;
  for (std::size_t i = 0; i < sizeof nonce; ++i) {
    nonce = nonce << 8U | random.bytes[i];
  }
  return nonce;
}

/// A request between its arrival and the submission of its last put.
struct Prefill {
  PrefillJob job;
  TransferSpec to;
  std::vector<CacheEngineKey> keys;
  Clock::time_point arrived = Clock::now();
  StatusOr<RequestHandle> request = absl::UnknownError("");  // once admitted or refused
  double admission_ms = 0;
  // Of the batch that is being computed.
  std::size_t first_key = 0;
  std::vector<MemoryObj> batch;
};
using PrefillPtr = std::shared_ptr<Prefill>;

/// Three threads: run() reads jobs and opens their requests at once, so that several wait for
/// admission; compute() takes them in the order they are admitted; the collector awaits puts.
class PrefillWorker {
 public:
  PrefillWorker(MessagePipe& pipe, const Setup& setup)
      : pipe_(pipe), setup_(setup), deadline_(deadline_of(setup)) {}

  Status run();

 private:
  Status start();
  Status read_jobs();
  void open(PrefillJob job);
  void compute_all();
  Status compute(Prefill& prefill);
  Status put_batch(Prefill& prefill, bool is_last);

  MessagePipe& pipe_;
  const Setup setup_;
  const Clock::time_point deadline_;
  const FaultCount damaged_ = std::make_shared<std::atomic<std::uint32_t>>(0);
  Engine engine_;
  BlockingQueue<PrefillPtr> admitted_;  // outlives the backend, whose callbacks fill it
  std::unique_ptr<PdBackend> backend_;
  std::unique_ptr<PutCollector> collector_;
};

Status PrefillWorker::start() {
  auto engine = Engine::create(setup_);
  if (!engine.ok()) {
    return engine.status();
  }
  engine_ = *std::move(engine);
  FaultInjection faults = make_faults(setup_, damaged_);
  auto backend = PdBackend::create(backend_options(setup_, Role::kSender, *engine_.model),
                                   layout_of(setup_, *engine_.model), &faults);
  if (!backend.ok()) {
    return backend.status();
  }
  backend_ = *std::move(backend);
  collector_ = std::make_unique<PutCollector>(
      [this](const PutsEnded& ended) { static_cast<void>(pipe_.send(ended)); });
  return pipe_.send(WorkerReady{});
}

void PrefillWorker::open(PrefillJob job) {
  auto prefill = std::make_shared<Prefill>();
  prefill->keys = keys_of(job.prompt, setup_, *engine_.model);
  prefill->to.req_id = job.req_id;
  prefill->to.attempt = random_nonce();
  prefill->to.receiver_init_port = {job.init_port};
  prefill->to.receiver_alloc_port = {job.alloc_port};
  prefill->job = std::move(job);
  backend_->open_request_async(
      {.to = prefill->to, .keys = prefill->keys, .timeout = std::nullopt, .in_place = true},
      [this, prefill](StatusOr<RequestHandle> request) {
        prefill->admission_ms = ms_since(prefill->arrived);
        prefill->request = std::move(request);
        admitted_.push(prefill);
      });
}

Status PrefillWorker::put_batch(Prefill& prefill, bool is_last) {
  const std::span<const CacheEngineKey> keys(prefill.keys.data() + prefill.first_key,
                                             prefill.batch.size());
  prefill.to.is_last_prefill = is_last;
  const auto submitted = Clock::now();
  auto put = backend_->batched_submit_put_task(keys, prefill.batch, prefill.to);
  prefill.first_key += prefill.batch.size();
  prefill.batch.clear();
  if (!put.ok()) {
    return put.status();
  }
  collector_->add(*std::move(put), submitted);
  return absl::OkStatus();
}

Status PrefillWorker::compute(Prefill& prefill) {
  engine::LlamaSession& session = *engine_.session;
  const std::size_t prompt_tokens = prefill.job.prompt.size();
  session.clear();
  const auto step =
      engine::prefill(session, prefill.job.prompt, [&](std::uint32_t first, std::uint32_t end) {
        auto chunk = prefill.request->allocate(
            engine::kv_chunk_meta(engine_.model->kv_shape(), end - first));
        if (!chunk.ok()) {
          return chunk.status();
        }
        if (Status copied = session.export_chunk(
                first, end, chunk->bytes(),
                chunk->in_place() ? engine::KvReader::kOther : engine::KvReader::kSelf);
            !copied.ok()) {
          return copied;
        }
        prefill.batch.push_back(*std::move(chunk));
        const bool is_last = end == prompt_tokens;
        return is_last || prefill.batch.size() == kChunksPerPut ? put_batch(prefill, is_last)
                                                                : absl::OkStatus();
      });
  return step.ok() ? pipe_.send(FirstToken{prefill.job.index, *step}) : step.status();
}

void PrefillWorker::compute_all() {
  while (auto next = admitted_.pop()) {
    Prefill& prefill = **next;
    collector_->begin({.index = prefill.job.index,
                       .error = {},
                       .chunks_total = static_cast<std::uint32_t>(prefill.keys.size()),
                       .admission_ms = prefill.admission_ms});
    const Status status = prefill.request.ok() ? compute(prefill) : prefill.request.status();
    // Without its last put a request is given back when the handle goes.
    prefill.batch.clear();
    prefill.request = absl::UnknownError("");
    collector_->end(status);
  }
}

Status PrefillWorker::read_jobs() {
  while (true) {
    auto message = pipe_.receive(deadline_);
    if (!message.ok()) {
      return message.status();
    }
    if (auto* job = std::get_if<PrefillJob>(&*message)) {
      open(std::move(*job));
    } else if (std::holds_alternative<Finish>(*message)) {
      return absl::OkStatus();
    } else {
      return absl::DataLossError(std::string("a prefiller got a message that is not for it"));
    }
  }
}

Status PrefillWorker::run() {
  if (Status started = start(); !started.ok()) {
    return started;
  }
  std::thread computing([this] { compute_all(); });
  const Status read = read_jobs();
  admitted_.close();
  computing.join();
  collector_->close();
  const std::vector<std::string> transports = backend_->transports_in_use();
  backend_->close();
  if (!read.ok()) {
    return read;
  }
  return pipe_.send(WorkerEnd{.transports = transports, .faults = damaged_->load()});
}

}  // namespace

int run_prefill_worker(UniqueFd socket) {
  return run_worker(std::move(socket), [](MessagePipe& pipe) {
    const auto setup = pipe.receive_a<Setup>(Clock::now() + std::chrono::minutes(1));
    return setup.ok() ? PrefillWorker(pipe, *setup).run() : setup.status();
  });
}

}  // namespace baton::demo
