#include "failing_allocations.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <stdexcept>

#include <qing/tensor/errors.h>

namespace {

thread_local std::int64_t allocations_left = -1;  // before the one that fails; below 0: none does
thread_local bool allocation_failed = false, all_fail = false;

// Whether this allocation fails.
bool fails() {
  if (allocations_left < 0 || allocations_left-- > 0) return false;
  allocation_failed = true;
  if (all_fail) allocations_left = 0;
  return true;
}

void* allocate(std::size_t size, std::size_t alignment) {
  if (fails()) return nullptr;
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(size == 0 ? 1 : size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment = 1) {
  void* const memory = allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace qing::test {
namespace {

namespace fs = std::filesystem;

sqlite3_mem_methods usual;

void* sqlite_allocate(int size) { return fails() ? nullptr : usual.xMalloc(size); }
void* sqlite_reallocate(void* memory, int size) { return fails() ? nullptr : usual.xRealloc(memory, size); }

// Before any database is opened.
class SqliteMemory : public ::testing::Environment {
 public:
  void SetUp() override {
    ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual), SQLITE_OK);
    sqlite3_mem_methods failing = usual;
    failing.xMalloc = sqlite_allocate;
    failing.xRealloc = sqlite_reallocate;
    ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
  }
};
const ::testing::Environment* const sqlite_memory = ::testing::AddGlobalTestEnvironment(new SqliteMemory);

// In memory, since every operation is done some hundred times and waits for the disk.
class FolderInMemory {
 public:
  FolderInMemory() {
    const fs::path shared = "/dev/shm";
    std::string name = ((fs::is_directory(shared) ? shared : fs::temp_directory_path()) / "qing-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~FolderInMemory() { fs::remove_all(path_); }
  FolderInMemory(const FolderInMemory&) = delete;
  FolderInMemory& operator=(const FolderInMemory&) = delete;
  // Replaces the folder of the last operation by a copy of the prepared one.
  fs::path fresh() const {
    const fs::path folder = path_ / "used";
    fs::remove_all(folder);
    fs::copy(prepared(), folder, fs::copy_options::recursive);
    return folder;
  }
  fs::path prepared() const { return path_ / "prepared"; }

 private:
  fs::path path_;
};

}  // namespace

FailingAllocation::FailingAllocation(std::int64_t n, Failing which) {
  allocation_failed = false;
  all_fail = which == Failing::kAllFromThere;
  allocations_left = n - 1;
}
FailingAllocation::~FailingAllocation() { allocations_left = -1; }
bool FailingAllocation::failed() const { return allocation_failed; }

namespace {

void fail_each_allocation(const Subject& subject, Failing which) {
  constexpr std::int64_t kMost = 50'000;
  const FolderInMemory folder;
  fs::create_directory(folder.prepared());
  subject.prepare(folder.prepared());
  std::string before, after;
  {
    const Operation operation = subject.operation(folder.fresh());
    before = operation.found();
    operation.run();
    after = operation.found();
  }
  ASSERT_EQ(before == after, subject.reads) << subject.name << ": " << after;
  // When all from the n-th on fail, neighbouring n differ little.
  const std::int64_t step = which == Failing::kOne ? 1 : 23;
  std::int64_t n = 1 - step, thrown = 0, done_in_spite = 0;
  for (bool failed = true; failed;) {
    n += step;
    ASSERT_LT(n, kMost) << subject.name;
    const std::string where =
        subject.name + ", allocation " + std::to_string(n) + (which == Failing::kOne ? "" : " and all after it");
    SCOPED_TRACE(where);
    const Operation operation = subject.operation(folder.fresh());
    enum class End { kDone, kError, kDataError };
    End end = End::kDone;
    {
      const FailingAllocation failing(n, which);
      try {
        operation.run();
      } catch (const DataError& error) {
        end = End::kDataError;
        std::fprintf(stderr, "%s\n", error.what());
      } catch (const std::exception&) { end = End::kError; }
      failed = failing.failed();
    }
    ASSERT_NE(end, End::kDataError) << "good data are called damaged";
    ASSERT_TRUE(failed || end == End::kDone) << "an error without a failure";
    const std::string found = operation.found();
    if (end == End::kDone) {
      ASSERT_EQ(found, after) << "it was acknowledged";
      done_in_spite += failed ? 1 : 0;
      continue;
    }
    ++thrown;
    ASSERT_TRUE(subject.may_be_half || found == before || found == after)
        << "found " << found << ", before " << before << ", after " << after;
    if (found == after && !subject.reads) continue;
    ASSERT_NO_THROW(operation.run()) << "the objects work on";
    ASSERT_EQ(operation.found(), after) << "done again";
  }
  EXPECT_GE(n - 1, subject.least) << subject.name << ": the failures do not reach it";
  std::printf("%s%s: %lld allocations, %lld errors, %lld survived\n", subject.name.c_str(),
              which == Failing::kOne ? "" : ", all from there", static_cast<long long>(n - 1),
              static_cast<long long>(thrown), static_cast<long long>(done_in_spite));
}

}  // namespace

void fail_each_allocation(const Subject& subject) {
  for (const Failing which : {Failing::kOne, Failing::kAllFromThere}) fail_each_allocation(subject, which);
}

}  // namespace qing::test
