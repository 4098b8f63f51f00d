// Hands two chunks over between two backends, with nothing but the installed library. Exits with 0
// if the bytes are right.
#include <baton/pd_backend.h>
#include <baton/version.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace {

baton::CacheLayout layout() {
  baton::CacheLayout layout;
  layout.model_name = "model";
  layout.model_fingerprint = "weights";
  layout.hash_scheme = "prefix-v1";
  layout.full_chunk = {{2, 4, 256, 128}, baton::DType::kHalf, baton::MemoryFormat::kKv2ltd};
  return layout;
}

baton::StatusOr<std::unique_ptr<baton::PdBackend>> start(const std::string& yaml) {
  auto parsed = baton::parse_options(yaml, "consumer", {{"LMCACHE_PD_BUFFER_SIZE", "16777216"}});
  if (!parsed.ok()) {
    return parsed.status();
  }
  return baton::PdBackend::create(parsed->options, layout());
}

baton::Status hand_over() {
  auto decode = start("pd_role: receiver\npd_peer_init_port: 0\npd_peer_alloc_port: 0\n");
  auto prefill = start("pd_role: sender\n");
  if (!decode.ok() || !prefill.ok()) {
    return decode.ok() ? prefill.status() : decode.status();
  }
  std::vector<baton::CacheEngineKey> keys;
  for (const char* hash : {"c0ffee", "decaf"}) {
    auto key = baton::CacheEngineKey::parse(std::string("model@1@0@") + hash + "@half");
    if (!key.ok()) {
      return key.status();
    }
    keys.push_back(*std::move(key));
  }
  baton::TransferSpec to;
  to.req_id = "request";
  to.receiver_init_port = {(*decode)->init_port()};
  to.receiver_alloc_port = {(*decode)->alloc_port()};
  to.is_last_prefill = true;
  auto request = (*prefill)->open_request({to, keys, {}});
  if (!request.ok()) {
    return request.status();
  }
  auto chunks = request->batched_allocate(layout().full_chunk, 2);
  if (!chunks.ok()) {
    return chunks.status();
  }
  for (std::size_t i = 0; i < chunks->size(); ++i) {
    std::ranges::fill((*chunks)[i].bytes(), static_cast<std::byte>(i + 1));
  }
  const auto put = (*prefill)->batched_submit_put_task(keys, *chunks, to);
  if (!put.ok()) {
    return put.status();
  }
  if (baton::Status done = put->wait(); !done.ok()) {
    return done;
  }
  const auto claim = (*decode)->claim("request", keys);
  if (!claim.ok()) {
    return claim.status();
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto bytes = claim->chunks()[i].bytes();
    if (bytes.size() != std::size_t{2} * 4 * 256 * 128 * 2 ||
        !std::ranges::all_of(bytes,
                             [&](std::byte b) { return b == static_cast<std::byte>(i + 1); })) {
      return absl::DataLossError("a chunk's bytes are not those that were put");
    }
  }
  std::printf("2 chunks over %s, baton %s\n", (*prefill)->transports_in_use().at(0).c_str(),
              std::string(baton::version()).c_str());
  return absl::OkStatus();
}

}  // namespace

int main() {
  if (baton::version() != BATON_VERSION_STRING) {
    std::fprintf(stderr, "headers and library are of different versions\n");
    return 1;
  }
  const baton::Status status = hand_over();
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
  }
  return status.ok() ? 0 : 1;
}
