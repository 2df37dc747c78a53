/* Preloaded into a daemon: counts its calls of the allocator in a file that others can read.
 *
 *   MALLOC_COUNT_FILE=counts LD_PRELOAD=libmalloc_count.so gnomon serve …
 *
 * The file holds two 64-bit counters: allocations and bytes asked for. The allocator itself is
 * glibc's, called by its own names, so that nothing has to be looked up while it is not ready.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

struct counters {
  _Atomic uint64_t calls, bytes;
};

static struct counters before_main;
static struct counters *counters = &before_main;

__attribute__((constructor)) static void open_file(void) {
  const char *path = getenv("MALLOC_COUNT_FILE");
  int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  if (ftruncate(fd, sizeof *counters) == 0) {
    void *shared = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared != MAP_FAILED) counters = shared;
  }
  close(fd);
}

static void count(size_t size) {
  atomic_fetch_add_explicit(&counters->calls, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&counters->bytes, size, memory_order_relaxed);
}

void *malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count(number * size);
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  count(size);
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  count(size);
  void *got = __libc_memalign(alignment, size);
  if (!got) return ENOMEM;
  *out = got;
  return 0;
}
