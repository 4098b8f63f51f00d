#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "src/base/digest.h"
#include "src/base/digest_queue.h"
#include "tests/support/virtual_scheduler.h"

namespace baton {
namespace {

std::vector<std::byte> pattern(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
  }
  return bytes;
}

// XXH3 is specified; these values come from the plain (not dispatching) entry point.
TEST(Digest, IsXxh3) {
  EXPECT_EQ(digest_of({}), 0x2d06800538d394c2U);
  const char* text = "baton";
  const std::span<const char> chars(text, 5);
  EXPECT_EQ(digest_of(std::as_bytes(chars)), 0x9f99aa9a06e6a686U);
}

TEST(Digest, APieceAtATimeGivesTheSame) {
  const auto bytes = pattern(100'000);
  const std::uint64_t whole = digest_of(bytes);
  for (const std::size_t step : {1'000U, 4'096U, 99'999U}) {
    DigestStream stream;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      stream.update(std::span(bytes).subspan(at, std::min(step, bytes.size() - at)));
    }
    EXPECT_EQ(stream.value(), whole) << step;
  }
}

TEST(DigestQueue, HashesInSlicesAndAnswersInOrder) {
  testing::VirtualScheduler scheduler;
  DigestQueue queue(scheduler);
  const auto large = pattern(3 * DigestQueue::kSliceBytes + 5);
  const auto small = pattern(100);
  std::vector<std::uint64_t> answers;
  int turns = 0;
  queue.add(large, [&](std::uint64_t digest) { answers.push_back(digest); });
  queue.add(small, [&](std::uint64_t digest) { answers.push_back(digest); });
  EXPECT_TRUE(answers.empty()) << "never inline";
  while (answers.size() < 2) {
    ASSERT_TRUE(scheduler.step());
    ++turns;
  }
  EXPECT_EQ(turns, 4) << "one slice a turn";
  EXPECT_EQ(answers[0], digest_of(large));
  EXPECT_EQ(answers[1], digest_of(small));
}

TEST(DigestQueue, ForgetsItsJobsWhenItGoes) {
  testing::VirtualScheduler scheduler;
  const auto bytes = pattern(100);
  {
    DigestQueue queue(scheduler);
    queue.add(bytes, [](std::uint64_t) { FAIL() << "the queue is gone"; });
  }
  scheduler.run_ready();
}

}  // namespace
}  // namespace baton
