// Copies that hash on the way: the library's digest for every length, alignment and way of slicing,
// all bytes, and none beside them.
#include "src/transport/shm/digesting_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "src/base/copy_kernel.h"
#include "src/base/digest.h"

namespace baton::transport::shm {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::byte kUntouched{0xEE};

/// Bytes that begin at a line, with room for a shift by less than one.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t bytes) : storage_(bytes + 2 * kLine) {}
  std::byte* data() {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    return storage_.data() + (kLine - address % kLine) % kLine;
  }

 private:
  std::vector<std::byte> storage_;
};

class DigestingCopyTest : public ::testing::TestWithParam<DigestKind> {
 protected:
  static constexpr std::size_t kMostBytes = 300U << 10U;

  void SetUp() override {
    for (std::size_t i = 0; i < kMostBytes + kLine; ++i) {
      from_.data()[i] = static_cast<std::byte>(random_());
    }
  }

  /// Copies in slices of what `budget` says, and checks all that a copy must do.
  template <typename Budget>
  void check(std::size_t bytes, std::size_t from_at, std::size_t to_at, Budget budget) {
    const std::byte* const from = from_.data() + from_at;
    std::byte* const to = to_.data() + kLine + to_at;
    std::fill_n(to - kLine, bytes + 2 * kLine, kUntouched);
    DigestingCopy copy(to, from, bytes, GetParam());
    std::size_t copied = 0;
    while (copy.left_bytes() > 0) {
      const std::size_t wanted = budget();
      const std::size_t now = copy.advance(wanted);
      ASSERT_GT(now, 0U);
      ASSERT_LT(now, wanted + DigestingCopy::kMaxExcessBytes);
      copied += now;
      ASSERT_EQ(copy.left_bytes(), bytes - copied);
      ASSERT_TRUE(std::equal(to, to + copied, from));
      ASSERT_TRUE(is_untouched(to + copied, bytes - copied + kLine));
    }
    publish_stores();
    ASSERT_EQ(copy.digest(), digest_of({from, bytes}));
    ASSERT_TRUE(std::equal(to, to + bytes, from));
    ASSERT_TRUE(is_untouched(to - kLine, kLine));
    ASSERT_TRUE(is_untouched(to + bytes, kLine));
  }

  static bool is_untouched(const std::byte* at, std::size_t bytes) {
    return std::all_of(at, at + bytes, [](std::byte byte) { return byte == kUntouched; });
  }

  std::mt19937_64 random_{1};
  AlignedBytes from_{kMostBytes + kLine};
  AlignedBytes to_{kMostBytes + 3 * kLine};
};

TEST_P(DigestingCopyTest, EveryLengthUpToSomeBlocks) {
  for (std::size_t bytes = 0; bytes <= 6000; ++bytes) {
    SCOPED_TRACE(bytes);
    ASSERT_NO_FATAL_FAILURE(check(bytes, 0, 0, [] { return kMostBytes; }));
  }
}

TEST_P(DigestingCopyTest, AroundTheEdgesOfBlocksInSlicesOfOneByteUp) {
  for (std::size_t blocks = 4; blocks <= 6; ++blocks) {
    for (std::size_t beside = 0; beside <= 2 * kLine; ++beside) {
      const std::size_t bytes = blocks * kXxh3BlockBytes - kLine + beside;
      for (const std::size_t slice : {std::size_t{1}, kXxh3BlockBytes, 3 * kXxh3BlockBytes + 1}) {
        SCOPED_TRACE(std::to_string(bytes) + " in slices of " + std::to_string(slice));
        ASSERT_NO_FATAL_FAILURE(check(bytes, 0, 0, [&] { return slice; }));
      }
    }
  }
}

TEST_P(DigestingCopyTest, EveryAlignment) {
  for (std::size_t at = 0; at < kLine; ++at) {
    SCOPED_TRACE(at);
    ASSERT_NO_FATAL_FAILURE(check(9000 + at, at, 0, [] { return kMostBytes; }));
    ASSERT_NO_FATAL_FAILURE(check(9000 + at, 0, at, [] { return std::size_t{2000}; }));
    ASSERT_NO_FATAL_FAILURE(check(9000, at, at, [] { return kMostBytes; }));
  }
}

TEST_P(DigestingCopyTest, AnyLengthAlignmentAndSlicing) {
  const std::uint64_t first_seed = std::random_device()();
  for (std::uint64_t seed = first_seed; seed < first_seed + 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto below = [&](std::size_t end) { return static_cast<std::size_t>(random() % end); };
    const std::size_t bytes = below(std::size_t{1} << (1 + below(18)));
    const std::size_t to_at = below(2) == 0 ? 0 : below(kLine);
    const std::size_t from_at = below(kLine);
    ASSERT_NO_FATAL_FAILURE(
        check(bytes, from_at, to_at, [&] { return 1 + below(std::size_t{1} << (1 + below(17))); }));
  }
}

std::string name_of(const ::testing::TestParamInfo<DigestKind>& kind) {
  const std::vector<std::string> names{"Library", "Avx2", "Avx512"};
  return names.at(static_cast<std::size_t>(kind.param));
}

INSTANTIATE_TEST_SUITE_P(EveryKind, DigestingCopyTest,
                         ::testing::ValuesIn(supported_digest_kinds().begin(),
                                             supported_digest_kinds().end()),
                         name_of);

TEST(DigestKinds, TheLibraryIsAlwaysThere) {
  ASSERT_FALSE(supported_digest_kinds().empty());
  EXPECT_EQ(supported_digest_kinds().front(), DigestKind::kLibrary);
}

}  // namespace
}  // namespace baton::transport::shm
