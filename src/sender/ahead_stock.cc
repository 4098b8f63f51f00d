#include "src/sender/ahead_stock.h"

#include <algorithm>
#include <utility>

namespace baton::sender {

std::shared_ptr<AheadStock> AheadStock::create(
    Scheduler& scheduler, std::shared_ptr<const transport::MappedPages> mapping,
    GiveBack give_back) {
  return std::shared_ptr<AheadStock>(
      new AheadStock(scheduler, std::move(mapping), std::move(give_back)));
}

void AheadStock::add(std::span<const Page> pages) {
  const MutexLock lock(mutex_);
  for (const Page& page : pages) {
    if (!closed_ && pages_.try_emplace(page.page, Entry{page.generation}).second) {
      free_.push_back(page.page);
    }
  }
  trim();
}

std::size_t AheadStock::free_count() const {
  const MutexLock lock(mutex_);
  return free_.size();
}

void AheadStock::keep(std::size_t most) {
  const MutexLock lock(mutex_);
  most_ = most;
  trim();
}

std::vector<AheadStock::Page> AheadStock::take(std::size_t count) {
  const MutexLock lock(mutex_);
  std::vector<Page> taken;
  if (count > free_.size()) {
    return taken;
  }
  for (; taken.size() < count; free_.pop_back()) {
    Entry& entry = pages_.at(free_.back());
    entry.state = State::kTaken;
    taken.push_back({free_.back(), entry.generation});
  }
  return taken;
}

void AheadStock::put_back(const Page& page) {
  const MutexLock lock(mutex_);
  if (Entry* entry = find_entry(page); entry != nullptr && entry->state == State::kTaken) {
    settle(page.page, *entry);
  }
}

void AheadStock::give_up(const Page& page) {
  const MutexLock lock(mutex_);
  if (Entry* entry = find_entry(page); entry != nullptr) {
    entry->goes_back = true;
    entry->has_failed = true;
    if (entry->state == State::kTaken) {
      settle(page.page, *entry);
    }
  }
}

void AheadStock::spend(const Page& page) {
  const MutexLock lock(mutex_);
  if (Entry* entry = find_entry(page); entry != nullptr) {
    entry->is_spent = true;
    if (entry->state == State::kTaken) {
      settle(page.page, *entry);
    }
  }
}

void AheadStock::recall(std::span<const Page> pages, bool all_came) {
  const MutexLock lock(mutex_);
  for (const Page& page : pages) {
    Entry* entry = find_entry(page);
    if (entry == nullptr) {
      if (all_came) {
        return_later(page);  // Its grant was lost, or it went back before.
      }
      continue;
    }
    entry->goes_back = true;
    if (entry->state == State::kFree) {
      std::erase(free_, page.page);
      settle(page.page, *entry);
    }
  }
}

bool AheadStock::has(const Page& page) const {
  const MutexLock lock(mutex_);
  const auto found = pages_.find(page.page);
  return found != pages_.end() && found->second.generation == page.generation;
}

// ---- lending -----------------------------------------------------------------------------------

std::vector<MemoryObj> AheadStock::lend(const TensorMeta& meta, std::uint32_t most) {
  std::vector<std::uint32_t> lent;
  {
    const MutexLock lock(mutex_);
    for (; !closed_ && lent.size() < most && !free_.empty(); free_.pop_back()) {
      pages_.at(free_.back()).state = State::kLent;
      lent.push_back(free_.back());
    }
  }
  std::vector<MemoryObj> objects;
  objects.reserve(lent.size());
  for (const std::uint32_t page : lent) {
    objects.push_back(wrap(page, meta));
  }
  return objects;
}

MemoryObj AheadStock::wrap(std::uint32_t page, const TensorMeta& meta) {
  const std::span<std::byte> bytes = mapping_->page(page);
  auto* block = new MemoryBlock{.data = bytes.data(),
                                .capacity_bytes = bytes.size(),
                                .meta = meta,
                                .page = page,
                                .kind = MemoryKind::kHost,
                                .pool = this,
                                .in_place = true};
  return MemoryObj(std::shared_ptr<const MemoryBlock>(
      block, [stock = shared_from_this()](const MemoryBlock* released) {
        stock->on_object_gone(released->page);
        delete released;
      }));
}

std::optional<AheadStock::Page> AheadStock::find(const MemoryObj& object) const {
  if (object.pool() != this) {
    return std::nullopt;
  }
  const MutexLock lock(mutex_);
  const auto found = pages_.find(object.page());
  if (closed_ || found == pages_.end() || found->second.is_spent || found->second.has_failed) {
    return std::nullopt;
  }
  return Page{object.page(), found->second.generation};
}

void AheadStock::on_object_gone(std::uint32_t page) {
  const MutexLock lock(mutex_);
  if (const auto found = pages_.find(page); found != pages_.end()) {
    settle(page, found->second);
  }
}

// ---- giving back -------------------------------------------------------------------------------

AheadStock::Entry* AheadStock::find_entry(const Page& page) {
  const auto found = pages_.find(page.page);
  return found == pages_.end() || found->second.generation != page.generation ? nullptr
                                                                              : &found->second;
}

void AheadStock::settle(std::uint32_t page, Entry& entry) {
  const Page settled{page, entry.generation};
  if (entry.is_spent || closed_) {
    pages_.erase(page);
  } else if (entry.goes_back) {
    pages_.erase(page);
    return_later(settled);
  } else {
    entry.state = State::kFree;
    free_.push_back(page);
    trim();
  }
}

void AheadStock::trim() {
  for (; free_.size() > most_; free_.pop_back()) {
    const Page surplus{free_.back(), pages_.at(free_.back()).generation};
    pages_.erase(surplus.page);
    return_later(surplus);
  }
}

void AheadStock::return_later(const Page& page) {
  if (closed_) {
    return;  // The fence settles it.
  }
  returning_.push_back(page);
  if (returning_.size() == 1) {
    scheduler_.post([weak = weak_from_this()] {
      if (const auto stock = weak.lock()) {
        stock->return_now();
      }
    });
  }
}

void AheadStock::return_now() {
  std::vector<Page> pages;
  {
    const MutexLock lock(mutex_);
    pages = std::exchange(returning_, {});
    if (closed_) {
      return;
    }
  }
  give_back_(std::move(pages));
}

void AheadStock::close() {
  const MutexLock lock(mutex_);
  closed_ = true;
  returning_.clear();
  free_.clear();
  std::erase_if(pages_, [](const auto& entry) { return entry.second.state != State::kLent; });
}

}  // namespace baton::sender
