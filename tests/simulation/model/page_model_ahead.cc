// Pages that a process has before there is a put: PageModel's half that follows them.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "src/base/digest.h"
#include "tests/simulation/model/page_model.h"

namespace baton::simulation {
namespace {

/// Of all pages, no more than one in so many lies ahead: the rest is for those who wait (P4).
constexpr std::uint32_t kAheadShare = 4;

}  // namespace

PageModel::Grant* PageModel::find_ahead(const Epoch& sender, std::uint32_t page,
                                        std::uint64_t generation) {
  const auto found = grants_.find(generation);
  return found != grants_.end() && found->second.ahead && found->second.page == page &&
                 found->second.put.sender == sender
             ? &found->second
             : nullptr;
}

void PageModel::granted_ahead(const Epoch& sender, std::uint32_t page, std::uint64_t generation) {
  if (find_ahead(sender, page, generation) != nullptr) {
    return;  // Said again.
  }
  if (!check_grant(page, generation)) {
    return;
  }
  coverage_.hit(Point::kAheadGranted);
  Grant grant;
  grant.put = {sender, 0};
  grant.page = page;
  grant.ahead = true;
  grants_[generation] = std::move(grant);
  // One turn serves one message: this grant is the last thing that has happened.
  const receiver::Receiver::Stats now = receiver_.stats();
  if (now.waiting > 0) {
    broken(Promise::kP4, fmt::format("page {} is granted ahead while {} requests wait for some",
                                     page, now.waiting));
  }
  if (now.pages.ahead > now.pages.total / kAheadShare) {
    broken(Promise::kP4,
           fmt::format("{} of {} pages are granted ahead", now.pages.ahead, now.pages.total));
  }
}

void PageModel::named_ahead(const PutName& put, const std::string& key, std::uint32_t page,
                            std::uint64_t generation, std::optional<std::uint64_t> digest) {
  Grant* grant = find_ahead(put.sender, page, generation);
  if (grant != nullptr && grant->fenced) {
    return;  // It does not know yet that the page is not its any more, nor what is there.
  }
  if (digest.has_value() && *digest != digest_of(content_.of(key))) {
    broken(Promise::kP1, fmt::format("put {} names a page ahead for chunk {} with the digest of "
                                     "other bytes",
                                     put.put_id, key));
  }
  if (grant == nullptr) {
    broken(Promise::kP7, fmt::format("put {} names page {} under generation {}, which its sender "
                                     "was not granted ahead",
                                     put.put_id, page, generation));
    return;
  }
  if (grant->named_by == put.put_id || grant->left_by.contains(put.put_id)) {
    return;  // Said again.
  }
  if (grant->named_by != 0 || grant->drain_said) {
    broken(Promise::kP7,
           fmt::format("put {} names page {} under generation {}, which {}", put.put_id, page,
                       generation,
                       grant->drain_said ? "its sender has given back" : "another put has named"));
  }
  grant->named_by = put.put_id;
  grant->key = key;
  grant->commit_asked = digest.has_value();
  for (const auto& [begin, end] : grant->landed) {
    check_landed(*grant, begin, end);
  }
  grant->landed.clear();
}

void PageModel::left_ahead(const PutName& put, std::uint32_t page, std::uint64_t generation) {
  Grant* grant = find_ahead(put.sender, page, generation);
  if (grant == nullptr || grant->named_by != put.put_id || grant->put.put_id != 0) {
    return;  // Said again.
  }
  coverage_.hit(Point::kAheadUnused);
  grant->left_by.insert(put.put_id);
  grant->named_by = 0;
  grant->key.clear();
  grant->commit_asked = false;
}

std::optional<std::uint64_t> PageModel::lent(const Epoch& sender, std::uint32_t page) {
  const auto latest = std::find_if(grants_.rbegin(), grants_.rend(), [&](const auto& entry) {
    return entry.second.ahead && entry.second.page == page && entry.second.put.sender == sender;
  });
  if (latest == grants_.rend() || latest->second.drain_said || latest->second.named_by != 0) {
    broken(Promise::kP3,
           fmt::format("page {} is lent to who computes, and its sender does not have it ahead",
                       page));
    return std::nullopt;
  }
  if (latest->second.fenced) {
    return std::nullopt;
  }
  coverage_.hit(Point::kAheadLent);
  latest->second.lent = true;
  latest->second.landed.clear();  // Its put says what is there in the end.
  return latest->first;
}

std::optional<std::uint32_t> PageModel::page_at(const std::byte* memory) const {
  const std::less<> before;
  if (before(memory, buffer_.data()) ||
      !before(memory, buffer_.data() + buffer_.page_bytes() * buffer_.page_count())) {
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(static_cast<std::size_t>(memory - buffer_.data()) /
                                    buffer_.page_bytes());
}

void PageModel::recalled(const Epoch& sender, std::uint32_t page, std::uint64_t generation) {
  Grant* grant = find_ahead(sender, page, generation);
  if (grant == nullptr || grant->put.put_id != 0) {
    broken(Promise::kP7, fmt::format("page {} under generation {} is wanted back, and its sender "
                                     "does not have it ahead",
                                     page, generation));
    return;
  }
  coverage_.hit(grant->lent ? Point::kAheadLentReturned : Point::kAheadRecalled);
  grant->recalled = true;
}

bool PageModel::adopt(const PutName& put, const std::string& key, std::uint32_t page,
                      std::uint64_t generation) {
  const auto found = grants_.find(generation);
  if (found == grants_.end() || !found->second.ahead) {
    return false;
  }
  Grant& grant = found->second;
  if (grant.page != page || current_[page] != generation || grant.put != PutName{put.sender, 0} ||
      grant.named_by != put.put_id || grant.key != key) {
    broken(Promise::kP7, fmt::format("page {} under generation {} becomes put {}'s for chunk {}, "
                                     "which has not named it for that",
                                     page, generation, put.put_id, key));
    return true;
  }
  grant.put = put;
  if (chunks_[key].generation != generation) {  // Otherwise it was seen before it was told.
    begin_chunk(key, generation);
  }
  return true;
}

/// The answer can't be sent when the sender has vanished: the chunk is there all the same.
void PageModel::adopt_untold_ahead() {
  for (const auto& [generation, grant] : grants_) {
    if (!grant.ahead || grant.key.empty() || !grant.commit_asked ||
        current_[grant.page] != generation || grant.put.put_id != 0 || visible(grant.key) ||
        !receiver_.contains(grant.key)) {
      continue;
    }
    const Chunk& chunk = chunks_[grant.key];
    const auto known = grants_.find(chunk.generation);
    const bool is_elsewhere =
        known != grants_.end() && known->second.commit_asked &&
        std::ranges::equal(buffer_.page(known->second.page).first(chunk.bytes->size()),
                           *chunk.bytes);
    if (!is_elsewhere) {
      begin_chunk(grant.key, generation);
    }
  }
}

}  // namespace baton::simulation
