// Who reads the pages, and until when: PageModel's half that follows reads.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "src/base/digest.h"
#include "tests/simulation/model/page_model.h"

namespace baton::simulation {

void PageModel::read_held(const PutName& read, const std::string& key, std::uint32_t page,
                          std::uint64_t generation, std::uint64_t length, std::uint64_t digest) {
  coverage_.hit(Point::kReadHeld);
  Read& seen = reads_[read];
  if (seen.released) {
    return;  // Asked for twice, and the reader has finished: it will say so once more.
  }
  learn_generation(key, page, generation);
  const auto chunk = chunks_.find(key);
  if (chunk == chunks_.end() || !receiver_.contains(key) ||
      chunk->second.generation != generation || grants_.at(generation).page != page) {
    broken(Promise::kP1, fmt::format("a read of chunk {} is sent to page {} under generation {}, "
                                     "where it is not committed",
                                     key, page, generation));
    return;
  }
  if (length != chunk->second.bytes->size() || digest != digest_of(*chunk->second.bytes)) {
    broken(Promise::kP1, fmt::format("a read of chunk {} is told another length or digest", key));
  }
  seen.pages[page] = generation;
  // One turn serves one message: nothing but this read has taken holds since the last one.
  const receiver::Receiver::Stats now = receiver_.stats();
  if (now.waiting > 0 && now.pages.held > counts_.held) {
    broken(Promise::kP4,
           fmt::format("a read takes pages while {} requests wait for some", now.waiting));
  }
}

void PageModel::read_released(const PutName& read) {
  Read& seen = reads_[read];
  if (!seen.released && !seen.pages.empty()) {
    coverage_.hit(Point::kReadReleased);
  }
  seen.released = true;
}

void PageModel::fenced(const Epoch& reader) {
  for (auto it = reads_.lower_bound({reader, 0});
       it != reads_.end() && it->first.sender == reader;) {
    it = reads_.erase(it);
  }
  for (auto& [generation, grant] : grants_) {
    grant.fenced |= grant.put.sender == reader;
  }
}

bool PageModel::is_read_by(const Epoch& reader) const {
  return std::ranges::any_of(reads_, [&](const auto& entry) {
    return entry.first.sender == reader && !entry.second.released && !entry.second.pages.empty();
  });
}

void PageModel::check_no_reader(std::uint32_t page, std::uint64_t generation) {
  for (const auto& [name, read] : reads_) {
    if (!read.released && read.pages.contains(page)) {
      broken(Promise::kP1,
             fmt::format("page {} is granted again under generation {}, and read {} may still read "
                         "it: not released, its reader not fenced",
                         page, generation, name.put_id));
    }
  }
}

void PageModel::read_landed(const transport::LoopbackConditions::Landing& landing) {
  const auto found = grants_.find(landing.generation);
  if (found == grants_.end() || found->second.page != landing.page) {
    broken(Promise::kP7, fmt::format("page {} is read under generation {}, which it never had",
                                     landing.page, landing.generation));
    return;
  }
  const auto bytes = buffer_.page(landing.page).subspan(landing.offset_bytes, landing.length_bytes);
  const std::vector<std::byte>& expected = content_.of(found->second.key);
  if (current_[landing.page] != landing.generation ||
      landing.offset_bytes + landing.length_bytes > expected.size() ||
      std::memcmp(bytes.data(), expected.data() + landing.offset_bytes, bytes.size()) != 0) {
    broken(
        Promise::kP1,
        fmt::format("a read of generation {} gets bytes of page {} that are not chunk {}'s; the "
                    "page has generation {}",
                    landing.generation, landing.page, found->second.key, current_[landing.page]));
  }
  const bool may_read = std::ranges::any_of(reads_, [&](const auto& entry) {
    const auto page = entry.second.pages.find(landing.page);
    return entry.first.sender == landing.writer && !entry.second.released &&
           page != entry.second.pages.end() && page->second == landing.generation;
  });
  if (!may_read) {
    broken(Promise::kP3,
           fmt::format("page {} is read under generation {} by a process that was not "
                       "told to, has said that it has finished, or was fenced",
                       landing.page, landing.generation));
  }
}

}  // namespace baton::simulation
