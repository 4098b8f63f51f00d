// A whole handoff in one small program: in production the two backends live in two processes.
#include <baton/pd_backend.h>

#include <algorithm>
#include <cstdio>

namespace {

constexpr auto kHalf = baton::DType::kHalf;

// What the engine knows of its KV cache: 2 (K and V) x 4 layers x 256 tokens x 128 halves a chunk.
baton::CacheLayout layout() {
  baton::CacheLayout layout;
  layout.model_name = "my-model";
  layout.model_fingerprint = "sha256-of-the-weights";
  layout.hash_scheme = "my-prefix-hash-v1";
  layout.full_chunk = {{2, 4, 256, 128}, kHalf, baton::MemoryFormat::kKv2ltd};
  return layout;
}

baton::Status run() {
  // Decode side: pages that prefillers write into. Port 0 asks for any free one.
  baton::Options decode_options;
  decode_options.pd_role = baton::Role::kReceiver;
  decode_options.pd_buffer_size = 64U << 20U;
  decode_options.pd_peer_init_port = {0};
  decode_options.pd_peer_alloc_port = {0};
  auto decode = baton::PdBackend::create(decode_options, layout());
  if (!decode.ok()) {
    return decode.status();
  }

  // Prefill side: staging pages, and nobody to notify (no pd_proxy_host).
  baton::Options prefill_options;
  prefill_options.pd_role = baton::Role::kSender;
  prefill_options.pd_buffer_size = 64U << 20U;
  auto prefill = baton::PdBackend::create(prefill_options, layout());
  if (!prefill.ok()) {
    return prefill.status();
  }

  // Where the request goes. A chunk's key names its content: model, rank, hash of the whole prefix.
  baton::TransferSpec to;
  to.req_id = "request-1";
  to.receiver_init_port = {(*decode)->init_port()};
  to.receiver_alloc_port = {(*decode)->alloc_port()};
  to.is_last_prefill = true;
  const std::vector<baton::CacheEngineKey> keys = {
      {"my-model", 1, 0, "c0ffee", kHalf, {}, {}},
      {"my-model", 1, 0, "decaf", kHalf, {}, {}},
  };

  // Admit the request whole, on both sides; from here on nothing waits for memory.
  auto request = (*prefill)->open_request({to, keys, {}});
  if (!request.ok()) {
    return request.status();
  }
  auto chunks = request->batched_allocate(layout().full_chunk, 2);
  if (!chunks.ok()) {
    return chunks.status();
  }
  for (const baton::MemoryObj& chunk : *chunks) {
    std::ranges::fill(chunk.bytes(), std::byte{42});  // prefill writes its KV rows here
  }

  // Put. It returns at once; the handle (or a callback for each key) tells the end.
  const auto put = (*prefill)->batched_submit_put_task(keys, *chunks, to);
  if (!put.ok()) {
    return put.status();
  }
  if (baton::Status done = put->wait(); !done.ok()) {
    return done;
  }

  // Decode: all chunks of the request, verified, or none. They stay while the claim lives.
  const auto claim = (*decode)->claim("request-1", keys);
  if (!claim.ok()) {
    return claim.status();
  }
  for (const baton::MemoryObj& chunk : claim->chunks()) {
    std::printf("page %u: %zu bytes of KV\n", chunk.page(), chunk.bytes().size());
  }
  return absl::OkStatus();
}

}  // namespace

int main() {
  const baton::Status status = run();
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
