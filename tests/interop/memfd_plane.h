// Stands in for NIXL between processes of one user on one host: an agent's memory is a memfd that
// its metadata name, and peers map. It moves real bytes; it can't be fenced, which tests inside one
// process do (tests/support/stock_hub.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/scheduler.h"
#include "src/memory/registered_buffer.h"
#include "src/transport/stock_plane.h"

namespace baton::testing {

/// "standin|NAME|PID|FD|BASE|BYTES", of the buffer that the agent has registered.
class MemfdPlane final : public transport::StockPlane {
 public:
  MemfdPlane(Scheduler& scheduler, RegisteredBuffer& buffer)
      : scheduler_(scheduler), buffer_(buffer) {}

  StatusOr<std::string> check(std::string_view metadata) const override;
  StatusOr<Door> open_door() override;
  StatusOr<std::string> introduce(transport::StockPeerId peer, std::string_view metadata) override;
  Status set_pages(transport::StockPeerId peer, transport::PageMemory memory,
                   const std::vector<transport::PageAddress>& pages) override;
  void write_batch(transport::StockPeerId peer, std::vector<transport::WriteOp> ops,
                   transport::Done done) override;
  void read_batch(transport::StockPeerId peer, std::vector<transport::ReadOp> ops,
                  transport::Done done) override;
  void revoke(transport::StockPeerId peer, Task fenced) override;
  void close() override { doors_.clear(); }

 private:
  struct Mapping {
    std::byte* data = nullptr;
    std::uint64_t base = 0;  ///< in the peer
    std::uint64_t bytes = 0;
    Mapping() = default;
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
  };
  struct Open {
    std::unique_ptr<Mapping> peer = std::make_unique<Mapping>();
    std::vector<transport::PageAddress> pages;
  };
  std::byte* at(transport::StockPeerId peer, std::uint32_t page, std::uint64_t offset,
                std::uint64_t bytes);
  void finish(transport::Done done, const Status& status);

  Scheduler& scheduler_;
  RegisteredBuffer& buffer_;
  std::map<transport::StockPeerId, Open> doors_;
  transport::StockPeerId last_ = 0;
};

}  // namespace baton::testing
