#include "tests/simulation/model/page_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "src/base/digest.h"

namespace baton::simulation {
namespace {

/// Names for grants whose real ones we have not heard; no receiver counts that far.
constexpr std::uint64_t kUntoldGeneration = std::uint64_t{1} << 62U;

}  // namespace

PageModel::PageModel(std::string name, receiver::Receiver& receiver, const RegisteredBuffer& buffer,
                     Content& content, Verdict& verdict, Coverage& coverage)
    : name_(std::move(name)),
      receiver_(receiver),
      buffer_(buffer),
      content_(content),
      verdict_(verdict),
      coverage_(coverage),
      shadow_(buffer.data(), buffer.data() + buffer.page_bytes() * buffer.page_count()),
      current_(buffer.page_count(), 0),
      counts_(receiver.stats().pages) {}

void PageModel::broken(Promise promise, std::string_view what) {
  verdict_.broken(promise, fmt::format("receiver {}: {}", name_, what));
}

std::span<std::byte> PageModel::shadow_of(std::uint32_t page) {
  return std::span(shadow_).subspan(page * buffer_.page_bytes(), buffer_.page_bytes());
}

PageModel::Grant* PageModel::find(const PutName& put, std::uint32_t page,
                                  std::uint64_t generation) {
  const auto found = grants_.find(generation);
  return found != grants_.end() && found->second.put == put && found->second.page == page
             ? &found->second
             : nullptr;
}

// ---- what messages say -------------------------------------------------------------------------

void PageModel::granted(const PutName& put, const std::string& key, std::uint32_t page,
                        std::uint64_t generation) {
  if (const Grant* known = find(put, page, generation); known != nullptr && known->key == key) {
    return;  // Said again.
  }
  if (adopt(put, key, page, generation)) {
    coverage_.hit(Point::kAheadAdopted);
    return;
  }
  if (!check_grant(page, generation)) {
    return;
  }
  coverage_.hit(Point::kGranted);
  grants_[generation] = {put, key, page};
  begin_chunk(key, generation);
}

bool PageModel::check_grant(std::uint32_t page, std::uint64_t generation) {
  if (page >= current_.size() || generation <= current_[page] || grants_.contains(generation)) {
    broken(Promise::kP7,
           fmt::format("page {} is granted under generation {}, which was used", page, generation));
    return false;
  }
  for (const auto& [other, chunk] : chunks_) {
    if (chunk.visible && grants_.at(chunk.generation).page == page && receiver_.contains(other)) {
      broken(Promise::kP3, fmt::format("page {} is granted while it shows chunk {}", page, other));
    }
  }
  if (const auto former = grants_.find(current_[page]); former != grants_.end()) {
    const Grant& grant = former->second;
    if (!grant.commit_asked && !grant.drain_said && !grant.fenced) {
      broken(Promise::kP3, fmt::format("page {} is granted again under generation {}, and its "
                                       "writer of generation {} has neither drained it nor is it "
                                       "fenced",
                                       page, generation, former->first));
    }
  }
  check_no_reader(page, generation);
  current_[page] = generation;
  std::ranges::fill(shadow_of(page), kPoisonByte);
  return true;
}

void PageModel::begin_chunk(const std::string& key, std::uint64_t generation) {
  Chunk& chunk = chunks_[key];
  chunk.generation = generation;
  chunk.bytes = &content_.of(key);
  chunk.visible = false;
}

void PageModel::eager_asked(const wire::KeyList& keys) {
  for (const std::string_view key : keys) {
    eager_keys_.emplace(key);
  }
}

void PageModel::replaced(const std::string& key, std::uint64_t generation) {
  const auto chunk = chunks_.find(key);
  if (chunk != chunks_.end() && chunk->second.generation < generation) {
    chunk->second.visible = false;
  }
}

void PageModel::placed(const PutName& put, const std::string& key, std::uint32_t page,
                       std::uint64_t generation) {
  if (find(put, page, generation) != nullptr) {
    return;  // Said again.
  }
  if (adopt(put, key, page, generation)) {
    coverage_.hit(Point::kAheadPlaced);
    return;
  }
  learn_generation(key, page, generation);
  if (current_[page] != generation) {
    granted(put, key, page, generation);
    std::ranges::copy(content_.of(key), shadow_of(page).begin());
  }
  grants_[generation] = {put, key, page, /*commit_asked=*/true};
}

/// The answer to an eager put can't be sent when its sender has vanished: the chunk is there all
/// the same, and we have not heard where.
void PageModel::adopt_untold() {
  for (std::uint32_t page = 0; page < current_.size() && !eager_keys_.empty(); ++page) {
    const auto is = buffer_.page(page);
    if (std::ranges::equal(is, shadow_of(page))) {
      continue;
    }
    for (const std::string& key : eager_keys_) {
      const std::vector<std::byte>& bytes = content_.of(key);
      const auto rest = is.subspan(bytes.size());
      if (!receiver_.contains(key) || visible(key) ||
          !std::ranges::equal(is.first(bytes.size()), bytes) ||
          !std::ranges::all_of(rest, [](std::byte byte) { return byte == kPoisonByte; })) {
        continue;
      }
      const std::uint64_t generation = kUntoldGeneration + ++untold_;
      grants_[generation] = {{}, key, page, /*commit_asked=*/true};
      chunks_[key] = {generation, &bytes};
      std::ranges::copy(is, shadow_of(page).begin());
      break;
    }
  }
}

/// What was adopted is heard of now. Its grant may have been heard of before: that it was placed
/// could not be.
void PageModel::learn_generation(const std::string& key, std::uint32_t page,
                                 std::uint64_t generation) {
  const auto chunk = chunks_.find(key);
  if (chunk == chunks_.end() || chunk->second.generation <= kUntoldGeneration ||
      grants_.at(chunk->second.generation).page != page) {
    return;
  }
  const auto heard = grants_.find(generation);
  const bool is_its_grant = generation == current_[page] && heard != grants_.end() &&
                            heard->second.key == key && heard->second.page == page;
  if (generation <= current_[page] && !is_its_grant) {
    return;
  }
  grants_[generation] = grants_.at(chunk->second.generation);
  chunk->second.generation = generation;
  current_[page] = generation;
}

void PageModel::commit_asked(const PutName& put, std::uint32_t page, std::uint64_t generation,
                             std::optional<std::uint64_t> digest) {
  Grant* grant = find(put, page, generation);
  if (grant == nullptr) {
    return;
  }
  grant->commit_asked = true;
  if (digest.has_value() && *digest != digest_of(content_.of(grant->key))) {
    broken(Promise::kP1, fmt::format("put {} commits chunk {} with the digest of other bytes",
                                     put.put_id, grant->key));
  }
}

void PageModel::drain_said(const PutName& put, std::uint32_t page, std::uint64_t generation) {
  Grant* grant = find(put, page, generation);
  if (grant == nullptr && put.put_id == 0) {
    grant = find_ahead(put.sender, page, generation);
    if (grant == nullptr) {
      return;
    }
  }
  if (grant == nullptr) {
    return;
  }
  if (grant->ahead && !grant->drain_said) {
    const bool unused = grant->recalled && grant->put.put_id == 0 && grant->named_by == 0;
    coverage_.hit(unused ? Point::kAheadReturned : Point::kAheadGivenUp);
  }
  grant->drain_said = true;
}

void PageModel::commit_said(const PutName& put, std::uint32_t page, std::uint64_t generation) {
  if (find(put, page, generation) == nullptr) {
    broken(Promise::kP7, fmt::format("it commits page {} under generation {}, which it has not "
                                     "granted to put {}",
                                     page, generation, put.put_id));
  }
}

// ---- what lands --------------------------------------------------------------------------------

void PageModel::landed(const transport::LoopbackConditions::Landing& landing) {
  const auto found = grants_.find(landing.generation);
  if (found == grants_.end() || found->second.page != landing.page ||
      found->second.put.sender != landing.writer) {
    broken(Promise::kP7, fmt::format("bytes land in page {} under generation {}, which it has not "
                                     "granted to their writer",
                                     landing.page, landing.generation));
    return;
  }
  Grant& grant = found->second;
  const auto chunk = chunks_.find(grant.key);
  if (current_[landing.page] != landing.generation) {
    broken(Promise::kP3, fmt::format("bytes of generation {} land in page {}, granted again under "
                                     "generation {}",
                                     landing.generation, landing.page, current_[landing.page]));
  } else if (chunk != chunks_.end() && chunk->second.visible &&
             chunk->second.generation == landing.generation) {
    broken(Promise::kP3,
           fmt::format("bytes land in page {}, committed as chunk {}", landing.page, grant.key));
  } else if (grant.commit_asked || grant.drain_said) {
    broken(Promise::kP3,
           fmt::format("bytes land in page {} after its writer said that it has {}", landing.page,
                       grant.drain_said ? "drained" : "written them all"));
  }
  const auto bytes = buffer_.page(landing.page).subspan(landing.offset_bytes, landing.length_bytes);
  const std::size_t end = landing.offset_bytes + landing.length_bytes;
  if (grant.key.empty()) {
    if (landing.offset_bytes == 0) {
      grant.landed.clear();  // Another chunk: what was lent before it was never put.
    }
    grant.landed.emplace_back(landing.offset_bytes, end);  // Of what, its put will say.
  } else {
    check_landed(grant, landing.offset_bytes, end);
  }
  std::ranges::copy(
      bytes, shadow_of(landing.page).begin() + static_cast<std::ptrdiff_t>(landing.offset_bytes));
}

void PageModel::check_landed(const Grant& grant, std::size_t begin, std::size_t end) {
  const std::vector<std::byte>& expected = content_.of(grant.key);
  if (end > expected.size() || std::memcmp(buffer_.page(grant.page).data() + begin,
                                           expected.data() + begin, end - begin) != 0) {
    broken(Promise::kP3,
           fmt::format("bytes land in page {} that are not chunk {}'s", grant.page, grant.key));
  }
}

// ---- what the receiver shows -------------------------------------------------------------------

bool PageModel::visible(std::string_view key) const {
  const auto found = chunks_.find(key);
  return found != chunks_.end() && found->second.visible;
}

bool PageModel::was_visible(std::string_view key) const {
  const auto found = chunks_.find(key);
  return found != chunks_.end() && found->second.was_visible;
}

void PageModel::after_turn() {
  adopt_untold();
  adopt_untold_ahead();
  compare_visibility();
  compare_bytes();
  count_transitions(receiver_.stats());
  if (const std::string found = receiver_.audit(); !found.empty()) {
    broken(Promise::kP6, found);
  }
}

void PageModel::compare_visibility() {
  for (auto& [key, chunk] : chunks_) {
    const bool visible = receiver_.contains(key);
    if (visible && !chunk.visible) {
      const Grant& grant = grants_.at(chunk.generation);
      if (!std::ranges::equal(buffer_.page(grant.page).first(chunk.bytes->size()), *chunk.bytes)) {
        broken(Promise::kP1, fmt::format("chunk {} is shown, but page {} does not hold its bytes",
                                         key, grant.page));
      }
      if (!grant.commit_asked) {
        broken(Promise::kP7, fmt::format("chunk {} is shown, and nobody asked this incarnation to "
                                         "commit page {} under generation {}",
                                         key, grant.page, chunk.generation));
      }
      chunk.was_visible = true;
    }
    chunk.visible = visible;
  }
}

void PageModel::compare_bytes() {
  if (std::memcmp(buffer_.data(), shadow_.data(), shadow_.size()) == 0) {
    return;
  }
  for (std::uint32_t page = 0; page < current_.size(); ++page) {
    const auto is = buffer_.page(page);
    if (std::ranges::equal(is, shadow_of(page))) {
      continue;
    }
    // Granted, and the word of it could not be sent.
    const bool poisoned =
        std::ranges::all_of(is, [](std::byte byte) { return byte == kPoisonByte; });
    const bool shown = std::ranges::any_of(chunks_, [&](const auto& entry) {
      return entry.second.visible && grants_.at(entry.second.generation).page == page;
    });
    if (!poisoned || shown) {
      broken(Promise::kP3, fmt::format("page {} changed, and no write to it had landed", page));
    }
    if (open_puts_.empty()) {
      broken(Promise::kP7,
             fmt::format("page {} is granted, and nobody asked this incarnation", page));
    }
    std::ranges::copy(is, shadow_of(page).begin());
  }
}

void PageModel::count_transitions(const receiver::Receiver::Stats& stats) {
  const receiver::ChunkPool::Counts& now = stats.pages;
  const std::uint64_t left_queue = waiting_ > stats.waiting ? waiting_ - stats.waiting : 0;
  const std::uint64_t after_waiting = std::min(left_queue, admitted_in_turn_);
  coverage_.hit(Point::kOpenedAfterWaiting, after_waiting);
  coverage_.hit(Point::kOpenedAtOnce, admitted_in_turn_ - after_waiting);
  waiting_ = stats.waiting;
  admitted_in_turn_ = 0;
  const auto grew = [&](Point point, std::uint32_t before, std::uint32_t after) {
    if (after > before) {
      coverage_.hit(point, after - before);
    }
  };
  grew(Point::kQuarantined, counts_.quarantined, now.quarantined);
  if (now.ahead < counts_.ahead && now.quarantined > counts_.quarantined) {
    coverage_.hit(Point::kAheadQuarantined,
                  std::min(counts_.ahead - now.ahead, now.quarantined - counts_.quarantined));
  }
  grew(Point::kUnquarantined, now.quarantined, counts_.quarantined);
  grew(Point::kRetained, counts_.retained, now.retained);
  if (now.retained < counts_.retained) {
    const std::uint32_t left = counts_.retained - now.retained;
    const std::uint32_t revived =
        now.held > counts_.held ? std::min(left, now.held - counts_.held) : 0;
    coverage_.hit(Point::kRevived, revived);
    coverage_.hit(Point::kEvicted, left - revived);
  }
  counts_ = now;
}

}  // namespace baton::simulation
