// See memory.h.
#include "memory.h"

#include <cstring>
#include <utility>

#include "file_guard.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace gptoss {

namespace {
constexpr size_t kHuge = size_t{2} << 20;

[[noreturn]] void out_of_memory(size_t bytes, const char* what) {
  throw Failure{"out-of-memory", "the system refused " + std::to_string((bytes >> 20) + 1) + " MiB for " + what +
                                     "; lower the context or the step size, or close other programs"};
}
}  // namespace

void Memory::swap(Memory& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(reserved_, other.reserved_);
  std::swap(guard_, other.guard_);
}

bool Memory::lost() const { return mapping_lost(guard_); }

#ifdef _WIN32

Memory Memory::map_file(const std::string& path) {
  const int wide = MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, nullptr, 0);
  std::wstring name(static_cast<size_t>(wide), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, name.data(), wide);
  HANDLE file = CreateFileW(name.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr);
  if (file == INVALID_HANDLE_VALUE) throw Failure{"io", "cannot open " + path};
  LARGE_INTEGER size{};
  GetFileSizeEx(file, &size);
  HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  CloseHandle(file);
  if (mapping == nullptr) throw Failure{"io", "cannot map " + path};
  void* view = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
  CloseHandle(mapping);
  if (view == nullptr) throw Failure{"io", "cannot map " + path};
  Memory memory;
  memory.data_ = static_cast<uint8_t*>(view);
  memory.size_ = static_cast<size_t>(size.QuadPart);
  return memory;  // reserved_ 0 marks a view
}

Memory Memory::zeroed(size_t bytes, const char* what) {
  Memory memory;
  if (bytes == 0) return memory;
  memory.data_ = static_cast<uint8_t*>(VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
  if (memory.data_ == nullptr) out_of_memory(bytes, what);
  memory.size_ = memory.reserved_ = bytes;
  return memory;
}

Memory::~Memory() {
  if (data_ == nullptr) return;
  if (reserved_ == 0) UnmapViewOfFile(data_);
  else VirtualFree(data_, 0, MEM_RELEASE);
}

bool drop_cached(const std::string&) { return false; }

void populate(const uint8_t* data, size_t bytes) {
  volatile uint8_t sink = 0;
  for (size_t i = 0; i < bytes; i += 4096) sink = sink + data[i];
}

#else

Memory Memory::map_file(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw Failure{errno == ENOENT ? "not-found" : "io", "cannot open " + path + ": " + std::strerror(errno)};
  struct stat info {};
  void* data = MAP_FAILED;
  if (fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
    data = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_SHARED, file, 0);
  } else {
    errno = EINVAL;
  }
  const int error = errno;
  close(file);
  if (data == MAP_FAILED) throw Failure{"io", "cannot map " + path + " into memory: " + std::strerror(error)};
  Memory memory;
  memory.data_ = static_cast<uint8_t*>(data);
  memory.size_ = memory.reserved_ = static_cast<size_t>(info.st_size);
  memory.guard_ = guard_mapping(memory.data_, memory.size_);
#ifdef MADV_HUGEPAGE
  madvise(data, memory.size_, MADV_HUGEPAGE);  // honoured by some file systems only; harmless elsewhere
#endif
  return memory;
}

Memory Memory::zeroed(size_t bytes, const char* what) {
  Memory memory;
  if (bytes == 0) return memory;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  const size_t reserved = (bytes + 4095) / 4096 * 4096;
  if (reserved < bytes) out_of_memory(bytes, what);
  void* data = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (data == MAP_FAILED) out_of_memory(bytes, what);
#ifdef MADV_HUGEPAGE
  if (reserved >= 4 * kHuge) madvise(data, reserved, MADV_HUGEPAGE);
#endif
  memory.data_ = static_cast<uint8_t*>(data);
  memory.size_ = bytes;
  memory.reserved_ = reserved;
  return memory;
}

Memory::~Memory() {
  unguard_mapping(guard_);  // before: the addresses may be given to others
  if (data_ != nullptr) munmap(data_, reserved_);
}

bool drop_cached(const std::string& path) {
#ifdef POSIX_FADV_DONTNEED
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool done = fsync(file) == 0 && posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0;
  close(file);
  return done;
#else
  (void)path;
  return false;
#endif
}

void populate(const uint8_t* data, size_t bytes) {
  const uintptr_t start = reinterpret_cast<uintptr_t>(data) & ~uintptr_t{4095};
  const size_t length = reinterpret_cast<uintptr_t>(data) + bytes - start;
#ifdef MADV_POPULATE_READ
  if (madvise(reinterpret_cast<void*>(start), length, MADV_POPULATE_READ) == 0) return;
#elif defined(__linux__)
  if (madvise(reinterpret_cast<void*>(start), length, 22 /* MADV_POPULATE_READ, Linux 5.14 */) == 0) return;
#endif
  madvise(reinterpret_cast<void*>(start), length, MADV_WILLNEED);
  volatile uint8_t sink = 0;
  for (size_t i = 0; i < length; i += 4096) sink = sink + reinterpret_cast<const uint8_t*>(start)[i];
}

#endif

}  // namespace gptoss
