// A prefiller of the soak: a thread a request, as an engine's workers would.
#include <thread>
#include <utility>

#include "tests/fault/soak/backend_worker.h"

namespace baton::soak {
namespace {

class Prefiller {
 public:
  Prefiller(const Fleet& fleet, const Place& place, PdBackend& backend)
      : fleet_(fleet), place_(place), backend_(backend) {}

  Status prefill(const RequestPlan& plan) {
    RequestHandle handle;
    if (plan.opened) {
      RequestSpec spec;
      spec.to = transfer(plan, false);
      if (plan.named) {
        spec.keys = chunk_keys(plan, ranks(), place_.rank);
      }
      auto opened = backend_.open_request(spec);
      if (!opened.ok()) {
        return opened.status();
      }
      handle = *std::move(opened);
    }
    std::vector<PutHandle> puts;
    Status result = submit_all(plan, handle, puts);
    if (!result.ok()) {
      static_cast<void>(backend_.cancel_request(plan.req_id));
    }
    for (const PutHandle& put : puts) {
      const Status ended = put.wait();
      result.Update(ended);
    }
    return result;
  }

 private:
  std::uint32_t ranks() const { return fleet_.options().ranks; }

  TransferSpec transfer(const RequestPlan& plan, bool is_last) const {
    TransferSpec spec;
    spec.req_id = plan.req_id;
    spec.attempt = 1;  // The names are unique, and each is tried once.
    spec.receiver_init_port = fleet_.init_ports(plan.decoder);
    spec.receiver_alloc_port = fleet_.alloc_ports(plan.decoder);
    spec.is_last_prefill = is_last;
    spec.total_chunks = static_cast<std::uint32_t>(plan.chunks.size());
    return spec;
  }

  Status submit_all(const RequestPlan& plan, const RequestHandle& handle,
                    std::vector<PutHandle>& puts) {
    const std::vector<CacheEngineKey> keys = chunk_keys(plan, ranks(), place_.rank);
    for (std::uint32_t i = 0; i < plan.puts; ++i) {
      const std::size_t from = keys.size() * i / plan.puts;
      const std::size_t count = keys.size() * (i + 1) / plan.puts - from;
      const auto wanted = static_cast<std::uint32_t>(count);
      auto objects = plan.opened ? handle.batched_allocate(testing::small_chunk(), wanted)
                                 : backend_.batched_allocate(testing::small_chunk(), wanted);
      if (!objects.ok()) {
        return objects.status();
      }
      for (std::size_t chunk = 0; chunk < count; ++chunk) {
        testing::fill((*objects)[chunk], byte_seed(plan.chunks[from + chunk], place_.rank));
      }
      auto put = backend_.batched_submit_put_task(std::span(keys).subspan(from, count), *objects,
                                                  transfer(plan, i + 1 == plan.puts));
      if (!put.ok()) {
        return put.status();
      }
      puts.push_back(*std::move(put));
      if (plan.cancelled && i == 0) {
        static_cast<void>(backend_.cancel_request(plan.req_id));
      }
    }
    return absl::OkStatus();
  }

  const Fleet& fleet_;
  const Place place_;
  PdBackend& backend_;
};

}  // namespace

int run_prefiller(const Fleet& fleet, const Place& place, const Channel& driver) {
  const auto backend = start_backend(fleet, place);
  if (backend == nullptr || !driver.send({})) {
    return 1;
  }
  Prefiller prefiller(fleet, place, *backend);
  std::vector<std::thread> requests;
  while (const auto message = driver.receive()) {
    if (message->word == Word::kPrefill) {
      requests.emplace_back([&prefiller, &fleet, &driver, message = *message]() mutable {
        const Status ended =
            prefiller.prefill(plan_request(fleet.options().seed, message.round, message.number));
        message.word = Word::kPrefilled;
        message.set_status(ended);
        driver.send(message);
      });
      continue;
    }
    for (std::thread& request : requests) {
      request.join();  // Every wait of theirs has a deadline of Baton's.
    }
    requests.clear();
    driver.send(settle(fleet, *backend));
  }
  return 0;
}

}  // namespace baton::soak
