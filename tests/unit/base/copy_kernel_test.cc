// The copy kernels: every byte of the range, and none beside it, at every alignment.
#include "src/base/copy_kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace baton {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kMaxBytes = 3 * kLine + 5;
constexpr std::size_t kMargin = 2 * kLine;
constexpr std::byte kUntouched{0xEE};

/// A buffer whose byte `kMargin` is aligned to a line.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t bytes) : storage_(bytes + 4 * kLine) {}
  std::byte* data() {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    return storage_.data() + (kLine - address % kLine) % kLine;
  }

 private:
  std::vector<std::byte> storage_;
};

std::byte pattern(std::size_t i) {
  return static_cast<std::byte>((i * 31 + i / 251) % 239);
}

class CopyKernel : public ::testing::TestWithParam<StoreKind> {};

TEST_P(CopyKernel, EverySizeAtEveryAlignment) {
  constexpr std::size_t kRoom = kMargin + kLine + kMaxBytes + kMargin;
  AlignedBytes from_storage(kLine + kMaxBytes);
  AlignedBytes to_storage(kRoom);
  std::byte* const to = to_storage.data();
  std::byte* const from = from_storage.data();
  for (std::size_t i = 0; i < kLine + kMaxBytes; ++i) {
    from[i] = pattern(i);
  }
  for (std::size_t to_at = 0; to_at < kLine; ++to_at) {
    for (const std::size_t from_at : {std::size_t{0}, std::size_t{1}, kLine - 1}) {
      for (std::size_t bytes = 0; bytes <= kMaxBytes; ++bytes) {
        std::fill_n(to, kRoom, kUntouched);
        std::byte* const start = to + kMargin + to_at;
        copy_with(GetParam(), start, from + from_at, bytes);
        publish_stores();
        ASSERT_TRUE(std::equal(start, start + bytes, from + from_at));
        const auto untouched = [](std::byte byte) { return byte == kUntouched; };
        ASSERT_TRUE(std::all_of(to, start, untouched));
        ASSERT_TRUE(std::all_of(start + bytes, to + kRoom, untouched))
            << bytes << " bytes to alignment " << to_at;
      }
    }
  }
}

TEST_P(CopyKernel, SizesWithRunsOfManyLines) {
  constexpr std::size_t kMost = (300U << 10U) + 77;
  AlignedBytes from_storage(kMost);
  AlignedBytes to_storage(kMost + 2 * kMargin);
  std::byte* const from = from_storage.data();
  std::byte* const to = to_storage.data();
  for (std::size_t i = 0; i < kMost; ++i) {
    from[i] = pattern(i);
  }
  std::vector<std::size_t> sizes{kMost, 256U << 10U, 261'888};
  for (std::size_t bytes = 4000; bytes < 14'000; bytes += kLine / 2 + 1) {
    sizes.push_back(bytes);
  }
  for (const std::size_t bytes : sizes) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{9}}) {
      std::fill_n(to, kMost + 2 * kMargin, kUntouched);
      std::byte* const start = to + kMargin + at;
      copy_with(GetParam(), start, from, bytes);
      publish_stores();
      ASSERT_TRUE(std::equal(start, start + bytes, from)) << bytes;
      const auto untouched = [](std::byte byte) { return byte == kUntouched; };
      ASSERT_TRUE(std::all_of(to, start, untouched)) << bytes;
      ASSERT_TRUE(std::all_of(start + bytes, start + bytes + kLine, untouched)) << bytes;
    }
  }
}

std::string name_of(const ::testing::TestParamInfo<StoreKind>& kind) {
  const std::vector<std::string> names{"Cached", "Sse2", "Avx2", "Avx512"};
  return names.at(static_cast<std::size_t>(kind.param));
}

INSTANTIATE_TEST_SUITE_P(EveryKind, CopyKernel,
                         ::testing::ValuesIn(supported_store_kinds().begin(),
                                             supported_store_kinds().end()),
                         name_of);

TEST(CopyToPeer, AroundTheThreshold) {
  constexpr std::size_t kMost = 2 * kStreamThresholdBytes;
  std::vector<std::byte> from(kMost);
  for (std::size_t i = 0; i < kMost; ++i) {
    from[i] = pattern(i);
  }
  for (const std::size_t bytes :
       {kStreamThresholdBytes - 1, kStreamThresholdBytes, kStreamThresholdBytes + 1, kMost}) {
    std::vector<std::byte> to(kMost + 1, kUntouched);
    copy_bulk(to.data() + 1, from.data(), bytes);
    publish_stores();
    EXPECT_EQ(to.front(), kUntouched);
    EXPECT_TRUE(std::equal(to.begin() + 1, to.begin() + 1 + static_cast<std::ptrdiff_t>(bytes),
                           from.begin()));
  }
}

TEST(CopyToPeer, OneKindIsAlwaysThere) {
  ASSERT_FALSE(supported_store_kinds().empty());
  EXPECT_EQ(supported_store_kinds().front(), StoreKind::kCached);
}

}  // namespace
}  // namespace baton
