// PdBackends as a user makes them, with a small cache layout and fast time limits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "baton/pd_backend.h"
#include "src/backend/fault_injection.h"

namespace baton::testing {

/// [2, 4, 16, 256] halves: 64 KiB a chunk of 16 tokens.
CacheLayout small_layout();
TensorMeta small_chunk(std::int64_t tokens = 16);
CacheEngineKey small_key(std::uint64_t number);
std::vector<CacheEngineKey> small_keys(std::uint64_t first, std::uint64_t count);

/// Tests of what UCX can do over RDMA only are skipped elsewhere.
bool host_has_rdma();
inline constexpr const char* kNoRdma = "this host has no RDMA device; `make rdma-test` makes some";

/// What tests of every transport run on: `these`, and nixl where Baton was built with it.
std::vector<TransportChoice> with_nixl(std::vector<TransportChoice> these);
std::string name_of(TransportChoice transport);

/// A buffer of `pages` chunks; any ports; no proxy.
Options small_options(Role role, std::uint32_t pages, TransportChoice transport);

/// Never returns an error: prints it and ends the process.
std::unique_ptr<PdBackend> make_backend(const Options& options,
                                        const CacheLayout& layout = small_layout(),
                                        FaultInjection* faults = nullptr);

TransferSpec transfer_to(std::uint16_t init_port, std::uint16_t alloc_port,
                         const std::string& req_id, std::uint32_t total_chunks,
                         bool is_last = true);
inline TransferSpec transfer_to(const PdBackend& receiver, const std::string& req_id,
                                std::uint32_t total_chunks, bool is_last = true) {
  return transfer_to(receiver.init_port(), receiver.alloc_port(), req_id, total_chunks, is_last);
}

/// Bytes that depend on `seed`, and whether an object holds them.
void fill(const MemoryObj& object, std::uint64_t seed);
bool holds(const MemoryObj& object, std::uint64_t seed);
/// `count` staged chunks, filled with seeds first, first + 1, …
std::vector<MemoryObj> staged(PdBackend& sender, std::uint64_t first, std::uint64_t count);

}  // namespace baton::testing
