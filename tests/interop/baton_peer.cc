// A Baton sender or receiver that takes orders by lines: what the Python peers meet.
//
//   baton_peer receiver|sender [--nixl]      --nixl: over NIXL, else over its stand-in
//
// A receiver first says its ports. Each order is answered by a line, "ok …" or "error …".
//   receiver: contains N | get N | claim REQ FIRST COUNT | cancel REQ | stats | quit
//   sender:   put REQ INIT ALLOC FIRST COUNT LAST | read REQ INIT ALLOC QUERY FIRST COUNT |
//             cancel REQ | stats | quit
// Chunk N is filled with bytes that depend on N (interop_test.py knows them, too).
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "baton/pd_backend.h"
#include "src/backend/fault_injection.h"
#include "src/transport/nixl/nixl.h"
#include "tests/interop/memfd_plane.h"

namespace baton::testing {
namespace {

constexpr std::uint16_t kAnyPort = 0;

CacheLayout layout() {
  CacheLayout layout;
  layout.model_name = "tiny";
  layout.model_fingerprint = "weights-1";
  layout.hash_scheme = "test-hash-v1";
  layout.full_chunk = {{2, 1, 4, 64}, DType::kHalf, MemoryFormat::kKv2ltd};
  return layout;
}

CacheEngineKey key(std::uint64_t number) {
  return *CacheEngineKey::parse(fmt::format("tiny@1@0@{:x}@half", number));
}

std::vector<CacheEngineKey> keys(std::uint64_t first, std::uint64_t count) {
  std::vector<CacheEngineKey> all;
  for (std::uint64_t i = 0; i < count; ++i) {
    all.push_back(key(first + i));
  }
  return all;
}

std::string hex(const MemoryObj& object) {
  std::string text;
  for (const std::byte byte : object.bytes()) {
    text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  }
  return text;
}

std::string error(const Status& status) {
  return fmt::format("error {}: {}", absl::StatusCodeToString(status.code()),
                     std::string(status.message()));
}

std::string stats(PdBackend& backend) {
  const BackendStats s = backend.stats();
  return fmt::format("ok {} {} {} {} {} {}", s.pages_free, s.pages_granted, s.pages_held,
                     s.pages_retained, s.pages_quarantined, s.requests);
}

std::string serve_receiver(PdBackend& backend, std::istream& order, const std::string& word) {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::string req_id;
  if (word == "contains" && order >> first) {
    return backend.contains(key(first)) ? "ok yes" : "ok no";
  }
  if (word == "get" && order >> first) {
    const auto got = backend.get_blocking(key(first), std::chrono::milliseconds(2'000));
    return got.ok() ? "ok " + hex(*got) : error(got.status());
  }
  if (word == "claim" && order >> req_id >> first >> count) {
    const auto claim = backend.claim(req_id, keys(first, count), std::chrono::milliseconds(2'000));
    if (!claim.ok()) {
      return error(claim.status());
    }
    std::string said = "ok";
    for (const MemoryObj& chunk : claim->chunks()) {
      said += " " + hex(chunk);
    }
    return said;
  }
  return "error what?";
}

std::string read(PdBackend& backend, std::istream& order) {
  TransferSpec from;
  std::uint16_t init = 0;
  std::uint16_t alloc = 0;
  std::uint16_t query = 0;
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  if (!(order >> from.req_id >> init >> alloc >> query >> first >> count)) {
    return "error what?";
  }
  from.receiver_init_port = {init};
  from.receiver_alloc_port = {alloc};
  from.receiver_query_port = {query};
  const auto objects = backend.batched_allocate(layout().full_chunk, count);
  if (!objects.ok()) {
    return error(objects.status());
  }
  const auto task = backend.batched_submit_read_task(keys(first, count), *objects, from);
  if (!task.ok()) {
    return error(task.status());
  }
  const auto result = task->wait(std::chrono::milliseconds(20'000));
  if (!result.ok()) {
    return error(result.status());
  }
  std::string said = "ok";
  for (std::size_t i = 0; i < objects->size(); ++i) {
    const Status& status = result->statuses[i];
    said += " " + (status.ok() ? hex((*objects)[i]) : absl::StatusCodeToString(status.code()));
  }
  return said;
}

std::string serve_sender(PdBackend& backend, std::istream& order, const std::string& word) {
  if (word == "read") {
    return read(backend, order);
  }
  TransferSpec to;
  std::uint16_t init = 0;
  std::uint16_t alloc = 0;
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  int last = 0;
  if (word != "put" || !(order >> to.req_id >> init >> alloc >> first >> count >> last)) {
    return "error what?";
  }
  to.receiver_init_port = {init};
  to.receiver_alloc_port = {alloc};
  to.is_last_prefill = last != 0;
  to.total_chunks = last != 0 ? count : 64;
  auto objects = backend.batched_allocate(layout().full_chunk, count);
  if (!objects.ok()) {
    return error(objects.status());
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto bytes = (*objects)[i].bytes();
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      bytes[at] = static_cast<std::byte>((first + i) * 37 + at * 11 + at / 256);
    }
  }
  const auto put = backend.batched_submit_put_task(keys(first, count), *objects, to);
  if (!put.ok()) {
    return error(put.status());
  }
  objects->clear();
  const Status ended = put->wait(std::chrono::milliseconds(20'000));
  return ended.ok() ? fmt::format("ok {}", put->stats().chunks_sent) : error(ended);
}

int run(bool receiver, bool over_nixl) {
  Options options;
  options.pd_role = receiver ? Role::kReceiver : Role::kSender;
  options.chunk_size = 4;
  options.pd_buffer_size = std::size_t{32} * 1024;
  options.pd_transport = TransportChoice::kTcp;
  options.pd_stock_peers = StockPeers::kAllow;
  options.insecure_data_plane = over_nixl;
  options.pd_handshake_timeout_ms = std::chrono::milliseconds(10'000);
  options.pd_put_timeout_ms = std::chrono::milliseconds(10'000);
  if (receiver) {
    options.pd_peer_init_port = {kAnyPort};
    options.pd_peer_alloc_port = {kAnyPort};
    options.pd_peer_query_port = {kAnyPort};
  }
  FaultInjection faults;
  if (!over_nixl) {
    faults.stock_plane = [](Reactor& loop, RegisteredBuffer& buffer) {
      return std::make_unique<MemfdPlane>(loop, buffer);
    };
  }
  auto backend = PdBackend::create(options, layout(), &faults);
  if (!backend.ok()) {
    std::cout << error(backend.status()) << std::endl;
    return 1;
  }
  PdBackend& peer = **backend;
  std::cout << fmt::format("ok {} {} {}", receiver ? peer.init_port() : 0,
                           receiver ? peer.alloc_port() : 0, receiver ? peer.query_port() : 0)
            << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream order(line);
    std::string word;
    order >> word;
    if (word == "quit") {
      break;
    }
    std::string said;
    if (word == "stats") {
      said = stats(peer);
    } else if (std::string req_id; word == "cancel" && order >> req_id) {
      const Status cancelled = peer.cancel_request(req_id);
      said = cancelled.ok() ? "ok" : error(cancelled);
    } else {
      said = receiver ? serve_receiver(peer, order, word) : serve_sender(peer, order, word);
    }
    std::cout << said << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace baton::testing

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 1 && args[0] == "--has-nixl") {
    return baton::transport::has_nixl() ? 0 : 1;
  }
  const bool over_nixl = args.size() == 2 && args[1] == "--nixl";
  if (args.empty() || (args[0] != "receiver" && args[0] != "sender") ||
      args.size() != (over_nixl ? 2U : 1U)) {
    std::cerr << "usage: baton_peer receiver|sender [--nixl]\n";
    return 2;
  }
  return baton::testing::run(args[0] == "receiver", over_nixl);
}
