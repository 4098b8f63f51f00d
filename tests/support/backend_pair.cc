#include "tests/support/backend_pair.h"

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "src/transport/nixl/nixl.h"
#include "src/transport/ucx/rdma_devices.h"
#include "tests/support/rdma_devices.h"

namespace baton::testing {
namespace {

std::uint64_t step(std::uint64_t state) {
  return state * 6364136223846793005U + 1442695040888963407U;
}

[[noreturn]] void die(const Status& why) {
  std::cerr << "test set-up failed: " << std::string(why.message()) << '\n';
  std::abort();
}

}  // namespace

TensorMeta small_chunk(std::int64_t tokens) {
  return {{2, 4, tokens, 256}, DType::kHalf, MemoryFormat::kKv2ltd};
}

CacheLayout small_layout() {
  CacheLayout layout;
  layout.model_name = "small";
  layout.model_fingerprint = "weights-1";
  layout.hash_scheme = "test-hash-v1";
  layout.full_chunk = small_chunk();
  return layout;
}

CacheEngineKey small_key(std::uint64_t number) {
  return *CacheEngineKey::parse("small@1@0@" + [number] {
    std::string hex;
    for (std::uint64_t left = number; left > 0 || hex.empty(); left /= 16) {
      hex.insert(hex.begin(), "0123456789abcdef"[left % 16]);
    }
    return hex;
  }() + "@half");
}

std::vector<CacheEngineKey> small_keys(std::uint64_t first, std::uint64_t count) {
  std::vector<CacheEngineKey> keys;
  for (std::uint64_t i = 0; i < count; ++i) {
    keys.push_back(small_key(first + i));
  }
  return keys;
}

bool host_has_rdma() {
  return transport::ucx::any_active_port(transport::ucx::list_rdma_devices());
}

std::vector<TransportChoice> with_nixl(std::vector<TransportChoice> these) {
  if (transport::has_nixl()) {
    these.push_back(TransportChoice::kNixl);
  }
  return these;
}

std::string name_of(TransportChoice transport) {
  switch (transport) {
    case TransportChoice::kShm:
      return "shm";
    case TransportChoice::kTcp:
      return "tcp";
    case TransportChoice::kUcx:
      return "ucx";
    case TransportChoice::kNixl:
      return "nixl";
    case TransportChoice::kAuto:
      break;
  }
  return "auto";
}

Options small_options(Role role, std::uint32_t pages, TransportChoice transport) {
  Options options;
  options.pd_role = role;
  options.pd_buffer_size = *small_chunk().bytes() * pages;
  options.chunk_size = 16;
  options.pd_transport = transport;
  const bool by_ucx = transport == TransportChoice::kUcx || transport == TransportChoice::kNixl;
  options.insecure_data_plane = by_ucx && !host_has_rdma();
  if (options.insecure_data_plane) {
    setenv("UCX_NET_DEVICES", "lo", /*overwrite=*/0);
  }
  if (const auto devices = rdma_devices_for_tests();
      transport == TransportChoice::kUcx && devices.size() > 1) {
    options.pd_ucx_rails = {devices[role == Role::kSender ? 0 : 1]};
  }
  options.pd_peer_init_port = {0};
  options.pd_peer_alloc_port = {0};
  return options;
}

std::unique_ptr<PdBackend> make_backend(const Options& options, const CacheLayout& layout,
                                        FaultInjection* faults) {
  auto backend = PdBackend::create(options, layout, faults);
  if (!backend.ok()) {
    die(backend.status());
  }
  return *std::move(backend);
}

TransferSpec transfer_to(std::uint16_t init_port, std::uint16_t alloc_port,
                         const std::string& req_id, std::uint32_t total_chunks, bool is_last) {
  TransferSpec spec;
  spec.req_id = req_id;
  spec.receiver_init_port = {init_port};
  spec.receiver_alloc_port = {alloc_port};
  spec.is_last_prefill = is_last;
  spec.total_chunks = total_chunks;
  return spec;
}

void fill(const MemoryObj& object, std::uint64_t seed) {
  const auto bytes = object.bytes();
  std::uint64_t state = seed + 1;
  for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    state = step(state);
    std::memcpy(&bytes[i], &state, 8);
  }
}

bool holds(const MemoryObj& object, std::uint64_t seed) {
  const auto bytes = object.bytes();
  std::uint64_t state = seed + 1;
  for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    state = step(state);
    if (std::memcmp(&bytes[i], &state, 8) != 0) {
      return false;
    }
  }
  return true;
}

std::vector<MemoryObj> staged(PdBackend& sender, std::uint64_t first, std::uint64_t count) {
  auto objects = sender.batched_allocate(small_chunk(), static_cast<std::uint32_t>(count));
  if (!objects.ok()) {
    die(objects.status());
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    fill((*objects)[i], first + i);
  }
  return *std::move(objects);
}

}  // namespace baton::testing
