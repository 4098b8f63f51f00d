// The program behind PeerProcess: one node on its own, driven by lines on standard input.
//
//   expect PEER          →  ticket HEX                 all pages are granted under generation 1
//   connect PEER TICKET  →  connected CODE
//   write PEER           →  writing                    when the first of many batches is complete;
//                                                      it goes on until one fails:
//                           failed CODE
//   read PEER            →  reading                    the same with reads
//                           failed CODE
//   disconnect PEER
//
// and, whenever they happen:  receiver_gone PEER,  writer_gone PEER
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <utility>

#include "tests/conformance/node.h"
#include "tests/conformance/peer_process.h"

namespace baton::conformance {
namespace {

constexpr std::size_t kPageBytes = 64U << 10U;
constexpr std::uint32_t kPageCount = 16;
constexpr int kBatchesQueued = 16;

void print(const std::string& line) {
  const std::string text = line + "\n";
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) {
    _exit(1);
  }
}

std::string code_of(const Status& status) {
  return absl::StatusCodeToString(status.code());
}

/// Keeps batches queued until one fails.
class EndlessMover {
 public:
  enum class Kind : bool { kWrites, kReads };

  EndlessMover(Node& node, const transport::PeerId& receiver, Kind kind)
      : node_(node), receiver_(receiver), kind_(kind) {}

  void start_on_loop() {
    for (int i = 0; i < kBatchesQueued; ++i) {
      move_on_loop();
    }
  }

 private:
  void move_on_loop() {
    std::vector<transport::WriteOp> writes;
    std::vector<transport::ReadOp> reads;
    for (std::uint32_t page = 0; page < kPageCount; ++page) {
      writes.push_back(node_.op(page, 1, 0, kPageBytes));
      reads.push_back(node_.read_op(page, 1, 0, kPageBytes));
    }
    auto done = [this](const Status& status) { moved_on_loop(status); };
    if (kind_ == Kind::kWrites) {
      node_.transport().write_batch(receiver_, std::move(writes), std::move(done));
    } else {
      node_.transport().read_batch(receiver_, std::move(reads), std::move(done));
    }
  }

  void moved_on_loop(const Status& status) {
    if (!std::exchange(told_first_, true)) {
      print(kind_ == Kind::kWrites ? "writing" : "reading");
    }
    if (status.ok()) {
      move_on_loop();
    } else if (!std::exchange(told_failure_, true)) {
      print("failed " + code_of(status));
    }
  }

  Node& node_;
  const transport::PeerId receiver_;
  const Kind kind_;
  bool told_first_ = false;
  bool told_failure_ = false;
};

class Peer {
 public:
  explicit Peer(TransportUnderTest& world) : world_(world), node_(world, kPageBytes, kPageCount) {
    fill({node_.buffer().data(), node_.buffer().size_bytes()}, 4711);
    world_.driver().run([this] {
      for (std::uint32_t page = 0; page < kPageCount; ++page) {
        node_.grants().grant(page, 1);
      }
    });
    node_.on_news([](std::string_view what, const transport::PeerId& peer) {
      print(std::string(what) + " " + peer.hex());
    });
    print("id " + node_.id().hex());
  }

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::string peer_hex;
    std::string ticket_hex;
    words >> command >> peer_hex >> ticket_hex;
    const auto peer = Epoch::from_bytes(from_hex(peer_hex));
    if (!peer.ok()) {
      return;
    }
    if (command == "expect") {
      print("ticket " + to_hex(node_.expect(*peer).value_or("")));
    } else if (command == "connect") {
      connect(*peer, from_hex(ticket_hex));
    } else if (command == "write" || command == "read") {
      using Kind = EndlessMover::Kind;
      mover_ = std::make_unique<EndlessMover>(node_, *peer,
                                              command == "write" ? Kind::kWrites : Kind::kReads);
      world_.driver().run([this] { mover_->start_on_loop(); });
    } else if (command == "disconnect") {
      node_.disconnect(*peer);
    }
  }

 private:
  void connect(const transport::PeerId& peer, const std::string& ticket) {
    const ReceiptPtr receipt = node_.connect(peer, ticket);
    world_.driver().run_until([&] { return receipt->fired > 0; });
    print("connected " + code_of(receipt->status));
  }

  TransportUnderTest& world_;
  Node node_;
  std::unique_ptr<EndlessMover> mover_;
};

int serve(const std::string& transport) {
  for (const Maker& maker : transports_under_test()) {
    if (maker.name == transport) {
      const auto world = maker.make();
      Peer peer(*world);
      for (std::string line; std::getline(std::cin, line);) {
        peer.obey(line);
      }
      _exit(0);  // Nobody is left to be polite to.
    }
  }
  std::cerr << "unknown transport " << transport << "\n";
  return 2;
}

}  // namespace
}  // namespace baton::conformance

int main(int argc, char** argv) {
  setenv("BATON_TEST_UCX_FIRST", "1", 1);  // Another device than the test's first node has.
  return argc == 2 ? baton::conformance::serve(argv[1]) : 2;
}
