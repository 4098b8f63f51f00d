#include "src/memory/staging_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace baton {

std::shared_ptr<StagingPool> StagingPool::create(std::shared_ptr<RegisteredBuffer> buffer,
                                                 std::shared_ptr<LoopRef> loop,
                                                 std::uint32_t first_page) {
  return std::shared_ptr<StagingPool>(
      new StagingPool(std::move(buffer), std::move(loop), first_page));
}

StagingPool::StagingPool(std::shared_ptr<RegisteredBuffer> buffer, std::shared_ptr<LoopRef> loop,
                         std::uint32_t first_page)
    : buffer_(std::move(buffer)),
      loop_(std::move(loop)),
      first_page_(first_page),
      pages_(buffer_->page_count() - first_page) {}

StatusOr<MemoryObj> StagingPool::allocate(const TensorMeta& meta) {
  auto taken = take(meta, 1, nullptr);
  if (!taken.ok()) {
    return taken.status();
  }
  return std::move(taken->front());
}

StatusOr<std::vector<MemoryObj>> StagingPool::batched_allocate(const TensorMeta& meta,
                                                               std::uint32_t count) {
  return take(meta, count, nullptr);
}

StatusOr<std::vector<MemoryObj>> StagingPool::take(const TensorMeta& meta, std::uint32_t count,
                                                   StagingReservation* from) {
  const auto bytes = meta.bytes();
  if (!bytes.ok()) {
    return bytes.status();
  }
  if (*bytes > buffer_->page_bytes()) {
    return absl::InvalidArgumentError(fmt::format(
        "a chunk of {} bytes does not fit a page of {} bytes", *bytes, buffer_->page_bytes()));
  }
  std::vector<std::uint32_t> taken(count);
  {
    const MutexLock lock(mutex_);
    const std::uint32_t unreserved = pages_.free_count() - reserved_;
    if (from != nullptr) {
      if (count > from->left_) {
        return absl::ResourceExhaustedError(
            fmt::format("the request has {} reserved staging pages left, {} were asked for",
                        from->left_, count));
      }
      from->left_ -= count;
      reserved_ -= count;
    } else if (count > unreserved || !waiters_.empty()) {
      return absl::ResourceExhaustedError(
          fmt::format("{} staging pages asked for, {} of {} are free and not reserved, {} requests "
                      "wait; open the request first to wait for staging",
                      count, unreserved, pages_.page_count(), waiters_.size()));
    }
    pages_.take(taken);  // Can't fail: the counts were checked under this lock.
  }
  std::vector<MemoryObj> objects;
  objects.reserve(count);
  for (const std::uint32_t page : taken) {
    objects.push_back(wrap(first_page_ + page, meta));
  }
  return objects;
}

MemoryObj StagingPool::wrap(std::uint32_t page, const TensorMeta& meta) {
  auto* block = new MemoryBlock{.data = buffer_->page(page).data(),
                                .capacity_bytes = buffer_->page_bytes(),
                                .meta = meta,
                                .page = page,
                                .kind = buffer_->kind(),
                                .pool = buffer_.get()};
  return MemoryObj(std::shared_ptr<const MemoryBlock>(
      block, [pool = shared_from_this()](const MemoryBlock* released) {
        pool->give_back(released->page);
        delete released;
      }));
}

StatusOr<StagingPool::WaiterId> StagingPool::reserve(std::uint32_t pages, Granted granted) {
  WaiterId id = 0;
  std::vector<Task> grants;
  {
    const MutexLock lock(mutex_);
    if (pages > pages_.page_count()) {
      return absl::ResourceExhaustedError(
          fmt::format("the request needs {} staging pages, the sender has {} in all; enlarge "
                      "pd_buffer_size or split the request",
                      pages, pages_.page_count()));
    }
    id = next_waiter_++;
    waiters_.push_back({id, pages, std::move(granted)});
    grants = grant_waiters();
  }
  post_all(std::move(grants));
  return id;
}

bool StagingPool::forget(WaiterId waiter) {
  std::vector<Task> grants;
  std::list<Waiter> forgotten;  // destroyed outside the lock
  {
    const MutexLock lock(mutex_);
    const auto found = std::find_if(waiters_.begin(), waiters_.end(),
                                    [waiter](const Waiter& w) { return w.id == waiter; });
    if (found != waiters_.end()) {
      forgotten.splice(forgotten.begin(), waiters_, found);
    }
    grants = grant_waiters();  // It may have stood before others that fit.
  }
  post_all(std::move(grants));
  return !forgotten.empty();
}

std::vector<Task> StagingPool::grant_waiters() {
  std::vector<Task> grants;
  while (!waiters_.empty() && waiters_.front().pages <= pages_.free_count() - reserved_) {
    Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    reserved_ += waiter.pages;
    grants.emplace_back(
        [granted = std::move(waiter.granted), reservation = std::make_shared<StagingReservation>(
                                                  shared_from_this(), waiter.pages)]() mutable {
          granted(std::move(reservation));
        });
  }
  return grants;
}

void StagingPool::post_all(std::vector<Task> tasks) {
  for (Task& task : tasks) {
    loop_->post(std::move(task));
  }
}

void StagingPool::give_back(std::uint32_t page) {
  std::vector<Task> grants;
  {
    const MutexLock lock(mutex_);
    pages_.give_back(page - first_page_);
    grants = grant_waiters();
  }
  post_all(std::move(grants));
}

void StagingPool::unreserve(std::uint32_t pages) {
  std::vector<Task> grants;
  {
    const MutexLock lock(mutex_);
    reserved_ -= pages;
    grants = grant_waiters();
  }
  post_all(std::move(grants));
}

StagingPool::Counts StagingPool::counts() const {
  const MutexLock lock(mutex_);
  return {pages_.page_count(), pages_.free_count(), reserved_,
          static_cast<std::uint32_t>(waiters_.size())};
}

StatusOr<std::vector<MemoryObj>> StagingReservation::batched_allocate(const TensorMeta& meta,
                                                                      std::uint32_t count) {
  std::vector<MemoryObj> objects;
  if (lender_) {
    objects = lender_(meta, count);
  }
  auto staged = pool_->take(meta, count - static_cast<std::uint32_t>(objects.size()), this);
  if (!staged.ok()) {
    return staged.status();  // What was lent goes back with `objects`.
  }
  std::move(staged->begin(), staged->end(), std::back_inserter(objects));
  return objects;
}

}  // namespace baton
