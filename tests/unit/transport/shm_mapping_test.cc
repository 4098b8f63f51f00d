// The sender's mapping: only of a file that can't be cut off under it, and never in a fork.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include "src/memory/registered_buffer.h"
#include "src/transport/shm/remote_mapping.h"

namespace baton::transport::shm {
namespace {

constexpr std::size_t kPageBytes = 8192;
constexpr std::uint32_t kPageCount = 4;
constexpr Geometry kGeometry{
    .page_bytes = kPageBytes, .file_bytes = kPageBytes * kPageCount, .page_count = kPageCount};
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;

UniqueFd memfd_of(std::size_t bytes, int seals) {
  UniqueFd fd(memfd_create("shm-mapping-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}

StatusCode refusal_of(UniqueFd fd, const Geometry& geometry = kGeometry) {
  return RemoteMapping::map(std::move(fd), geometry).status().code();
}

/// The permissions of the mapping at `address` in this process: "" if there is none.
std::string permissions_at(const void* address) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    std::istringstream fields(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    std::string permissions;
    fields >> std::hex >> begin >> dash >> end >> permissions;
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    if (begin <= wanted && wanted < end) {
      return permissions;
    }
  }
  return "";
}

TEST(RemoteMapping, WritesAppearInTheOwnersBuffer) {
  auto buffer = RegisteredBuffer::create(kPageBytes, kPageCount);
  ASSERT_TRUE(buffer.ok());
  auto mapping = RemoteMapping::map(UniqueFd(dup((*buffer)->memfd())), kGeometry);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_TRUE(*(*mapping)->populate_slice());
  *(*mapping)->at(2, 17) = std::byte{42};
  EXPECT_EQ((*buffer)->page(2)[17], std::byte{42});
}

TEST(RemoteMapping, AFileThatCouldShrinkOrGrowIsRefused) {
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes, 0)), StatusCode::kDataLoss);
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes, F_SEAL_GROW)), StatusCode::kDataLoss);
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes, F_SEAL_SHRINK)), StatusCode::kDataLoss);
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes, kSeals)), StatusCode::kOk);
}

TEST(RemoteMapping, AFileOfAnotherSizeIsRefused) {
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes - 1, kSeals)), StatusCode::kDataLoss);
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes + 1, kSeals)), StatusCode::kDataLoss);
}

TEST(RemoteMapping, WhatIsNoMemfdIsRefused) {
  EXPECT_EQ(refusal_of(UniqueFd(open("/dev/zero", O_RDWR | O_CLOEXEC))), StatusCode::kDataLoss);
  EXPECT_EQ(refusal_of(UniqueFd()), StatusCode::kDataLoss);
}

TEST(RemoteMapping, AFileSealedAgainstWritingIsRefused) {
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes, kSeals | F_SEAL_WRITE)),
            StatusCode::kResourceExhausted);
}

TEST(RemoteMapping, PagesThatDontFitTheFileAreRefused) {
  Geometry geometry = kGeometry;
  geometry.page_count = kPageCount + 1;
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes, kSeals), geometry), StatusCode::kDataLoss);
  geometry = kGeometry;
  geometry.page_bytes = std::numeric_limits<std::uint64_t>::max() / 2;  // times 4 wraps around
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes, kSeals), geometry), StatusCode::kDataLoss);
  geometry.page_bytes = 0;
  EXPECT_EQ(refusal_of(memfd_of(kGeometry.file_bytes, kSeals), geometry), StatusCode::kDataLoss);
}

TEST(RemoteMapping, BoundsAreChecked) {
  auto mapping = RemoteMapping::map(memfd_of(kGeometry.file_bytes, kSeals), kGeometry);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE((*mapping)->holds(kPageCount - 1, 0, kPageBytes));
  EXPECT_TRUE((*mapping)->holds(0, kPageBytes - 1, 1));
  EXPECT_TRUE((*mapping)->holds(0, kPageBytes, 0));
  EXPECT_FALSE((*mapping)->holds(kPageCount, 0, 1));
  EXPECT_FALSE((*mapping)->holds(0, kPageBytes, 1));
  EXPECT_FALSE((*mapping)->holds(0, 1, kPageBytes));
  EXPECT_FALSE((*mapping)->holds(0, kHuge, 2));
  EXPECT_FALSE((*mapping)->holds(0, 2, kHuge));
}

TEST(RemoteMapping, PopulatesInSlices) {
  constexpr Geometry kLarge{.page_bytes = RemoteMapping::kPopulateSliceBytes,
                            .file_bytes = 2 * RemoteMapping::kPopulateSliceBytes,
                            .page_count = 2};
  auto mapping = RemoteMapping::map(memfd_of(kLarge.file_bytes, kSeals), kLarge);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_FALSE(*(*mapping)->populate_slice());
  EXPECT_TRUE(*(*mapping)->populate_slice());
  unsigned char resident = 0;
  ASSERT_EQ(mincore((*mapping)->at(1, kLarge.page_bytes - 4096), 4096, &resident), 0);
  EXPECT_EQ(resident & 1U, 1U);
}

TEST(RemoteMapping, AForkedChildDoesNotHaveIt) {
  auto mapping = RemoteMapping::map(memfd_of(kGeometry.file_bytes, kSeals), kGeometry);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  const std::byte* address = (*mapping)->at(0, 0);
  ASSERT_EQ(permissions_at(address), "rw-s");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    _exit(permissions_at(address).empty() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child inherited the mapping";
}

TEST(RemoteMapping, EndsWithTheObject) {
  auto mapping = RemoteMapping::map(memfd_of(kGeometry.file_bytes, kSeals), kGeometry);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  const std::byte* address = (*mapping)->at(0, 0);
  mapping->reset();
  EXPECT_EQ(permissions_at(address), "");
}

}  // namespace
}  // namespace baton::transport::shm
