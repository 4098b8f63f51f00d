// What a peer with a right ticket may cost a nixl receiver (P8). Needs NIXL.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <vector>

#include "tests/conformance/conformance_test.h"
#include "tests/conformance/tcp_stranger.h"

namespace baton::conformance {
namespace {

using transport::tcp::Hello;
using transport::tcp::Verdict;

std::vector<Maker> nixl_alone() {
  std::vector<Maker> makers = transports_under_test();
  std::erase_if(makers, [](const Maker& maker) { return maker.name != std::string("nixl"); });
  return makers;
}

std::ptrdiff_t threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

class NixlStrangersTest : public ConformanceTest {
 protected:
  static constexpr std::ptrdiff_t kMaxAgentsPerPeer = 8;
  /// The agent's own, that of its making or ending, and what UCX may have for it.
  static constexpr std::ptrdiff_t kThreadsOfAnAgent = 3;

  Hello next_hello() {
    return {.connection = ++connections_,
            .sender = peer_,
            .receiver = receiver_->id(),
            .nonce = transport::random_nonce()};
  }

  Node* receiver_ = nullptr;
  const transport::PeerId peer_ = Epoch::random();
  std::uint64_t connections_ = 0;
};

TEST_P(NixlStrangersTest, ReconnectingWithoutEndCostsAFewAgents) {
  receiver_ = &add_node();
  const auto ticket = transport::tcp::parse_ticket(receiver_->expect(peer_).value_or(""));
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  const std::ptrdiff_t before = threads();
  std::ptrdiff_t most = 0;
  std::vector<RawStream> streams;
  for (int i = 0; i < 200; ++i) {
    streams.emplace_back(ticket->address.port);
    streams.back().open(next_hello(), ticket->secret);
    most = std::max(most, threads() - before);
  }
  EXPECT_LE(most, kMaxAgentsPerPeer * kThreadsOfAnAgent);
  // What it had ends at last: then the ticket opens again.
  Verdict verdict = Verdict::kRefused;
  for (int i = 0; i < 100'000 && verdict == Verdict::kRefused; ++i) {
    RawStream stream(ticket->address.port);
    verdict = stream.open(next_hello(), ticket->secret);
  }
  EXPECT_EQ(verdict, Verdict::kAccepted);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(NixlStrangersTest);
INSTANTIATE_TEST_SUITE_P(Conformance, NixlStrangersTest, ::testing::ValuesIn(nixl_alone()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace baton::conformance
