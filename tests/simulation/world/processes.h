// The three kinds of process, around the real logic.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "src/memory/staging_pool.h"
#include "src/proxy/release_gate.h"
#include "src/proxy/router.h"
#include "src/receiver/receiver.h"
#include "src/sender/sender.h"
#include "src/transport/loopback/loopback_transport.h"
#include "tests/simulation/world/process.h"

namespace baton::simulation {

/// One rank of a prefiller.
class SenderProcess final : public Process {
 public:
  SenderProcess(World& world, std::string name, std::uint32_t index, std::uint32_t rank)
      : Process(world, std::move(name)), oldest_(index == 0), rank_(rank) {}
  ~SenderProcess() override { crash(); }

  sender::Sender& sender() { return *sender_; }
  StagingPool& staging() { return *staging_; }

 private:
  void build() override;
  void destroy() override;

  const bool oldest_;  // the one that is upgraded last
  const std::uint32_t rank_;
  std::shared_ptr<RegisteredBuffer> buffer_;
  std::shared_ptr<StagingPool> staging_;
  std::unique_ptr<transport::LoopbackTransport> transport_;
  std::unique_ptr<sender::Sender> sender_;
};

/// One rank of a decoder.
class ReceiverProcess final : public Process {
 public:
  ReceiverProcess(World& world, std::string name, std::uint32_t index, std::uint32_t rank);
  ~ReceiverProcess() override { crash(); }

  receiver::Receiver& receiver() { return *receiver_; }
  const sender::Address& address() const { return address_; }

 private:
  void build() override;
  void destroy() override;

  const std::uint32_t rank_;
  const std::string leader_;  // the alloc endpoint of its group's rank 0
  const sender::Address address_;
  std::shared_ptr<RegisteredBuffer> buffer_;
  std::vector<std::shared_ptr<RegisteredBuffer>> mapped_;  // others may have those of the dead
  std::unique_ptr<transport::LoopbackTransport> transport_;
  std::unique_ptr<receiver::Receiver> receiver_;
};

class ProxyProcess final : public Process {
 public:
  ProxyProcess(World& world, std::vector<std::string> prefillers,
               std::vector<std::string> decoders);
  ~ProxyProcess() override { crash(); }

  static constexpr const char* kEndpoint = "inproc://proxy";

  proxy::ReleaseGate& gate() { return *gate_; }
  proxy::Router& router() { return *router_; }

 private:
  void build() override;
  void destroy() override;

  const std::vector<std::string> prefillers_;
  const std::vector<std::string> decoders_;
  std::uint64_t requests_ = 0;  // of all its incarnations: ids never come again
  std::unique_ptr<proxy::ReleaseGate> gate_;
  std::unique_ptr<proxy::Router> router_;
};

}  // namespace baton::simulation
