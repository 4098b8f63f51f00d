#include "tools/demo/worker.h"

#include <limits>
#include <map>
#include <string>
#include <utility>

#include "src/engine/chunk_hash.h"
#include "src/engine/kv_blob.h"

namespace baton::demo {
namespace {

constexpr const char* kModelName = "demo";

TransportChoice transport_of(const Setup& setup) {
  static const std::map<std::string, TransportChoice> choices = {{"shm", TransportChoice::kShm},
                                                                 {"tcp", TransportChoice::kTcp},
                                                                 {"ucx", TransportChoice::kUcx},
                                                                 {"nixl", TransportChoice::kNixl}};
  const auto found = choices.find(setup.transport);
  return found == choices.end() ? TransportChoice::kAuto : found->second;
}

}  // namespace

StatusOr<Engine> Engine::create(const Setup& setup) {
  Engine result;
  auto model = engine::LlamaModel::load(setup.model);
  if (!model.ok()) {
    return model.status();
  }
  result.model = *std::move(model);
  auto session = engine::LlamaSession::create(
      result.model, {.context_tokens = setup.context_tokens, .chunk_tokens = setup.chunk_tokens});
  if (!session.ok()) {
    return session.status();
  }
  result.session = *std::move(session);
  return result;
}

std::vector<CacheEngineKey> keys_of(std::span<const Token> prompt, const Setup& setup,
                                    const engine::LlamaModel& model) {
  return engine::chunk_keys(prompt, setup.chunk_tokens,
                            {.model_name = kModelName, .model_fingerprint = model.fingerprint()});
}

CacheLayout layout_of(const Setup& setup, const engine::LlamaModel& model) {
  return {.model_name = kModelName,
          .model_fingerprint = model.fingerprint(),
          .hash_scheme = std::string(engine::kChunkHashScheme),
          .full_chunk = engine::kv_chunk_meta(model.kv_shape(), setup.chunk_tokens)};
}

Options backend_options(const Setup& setup, Role role, const engine::LlamaModel& model) {
  Options options;
  options.pd_role = role;
  options.pd_buffer_size =
      setup.buffer_pages * engine::kv_chunk_bytes(model.kv_shape(), setup.chunk_tokens);
  options.chunk_size = setup.chunk_tokens;
  options.pd_transport = transport_of(setup);
  options.insecure_data_plane = setup.insecure_data_plane;
  if (!setup.ucx_devices.empty()) {
    const std::size_t worker = setup.worker + (role == Role::kSender ? 0 : setup.prefillers);
    options.pd_ucx_rails = {setup.ucx_devices[worker % setup.ucx_devices.size()]};
  }
  // So that a chunk that was never written can't look like an old one.
  options.pd_poison_pages = true;
  // With a large model a request may wait long for others to be computed: the run's own limit
  // counts.
  const std::chrono::milliseconds limit(setup.timeout_ms);
  options.pd_handshake_timeout_ms = limit;
  options.pd_admission_timeout_ms = limit;
  options.pd_request_idle_timeout_ms = limit;
  options.pd_claim_timeout_ms = limit;
  options.pd_claim_ttl_ms = limit;
  if (role == Role::kSender) {
    options.pd_proxy_host = "127.0.0.1";
    options.pd_proxy_port = setup.proxy_port;
  } else {
    options.pd_peer_init_port = {0};
    options.pd_peer_alloc_port = {0};
    if (setup.fault == Fault::kCorruptAfterCommit) {
      options.pd_integrity = Integrity::kParanoid;
    }
  }
  return options;
}

Clock::time_point deadline_of(const Setup& setup) {
  return Clock::now() + std::chrono::milliseconds(setup.timeout_ms);
}

}  // namespace baton::demo
