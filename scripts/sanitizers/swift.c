/* Tells ThreadSanitizer about two orders between threads that come from Swift's libraries, which are not
 * instrumented. These functions come before the libraries', call them, and say what they have done.
 *
 * Mutex is a futex whose uncontended paths are compiled into the caller, where the sanitizer sees their
 * atomics. The contended paths are in the library: it would miss that one thread's critical section comes
 * after another's, and report what the mutex protects.
 *
 * An array that was copied out of a critical section shares its memory with the original until one of them
 * is changed. Whoever changes it in place has seen that nobody else refers to it any more: that comes after
 * the other's last look at it, by the count of references. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

/* _MutexHandle._lockSlow(_: UInt32), _tryLockSlow() -> Bool, _unlockSlow() */
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void gnomon_mutex_lock(uint32_t thread, SELF) __asm__(LOCK);
SWIFT bool gnomon_mutex_try_lock(SELF) __asm__(TRY_LOCK);
SWIFT void gnomon_mutex_unlock(SELF) __asm__(UNLOCK);

static SWIFT void (*lock)(uint32_t thread, SELF);
static SWIFT bool (*try_lock)(SELF);
static SWIFT void (*unlock)(SELF);
static void (*release)(void *object);
static void (*release_n)(void *object, uint32_t count);
static bool (*is_unique)(const void *object);

/* A name that the libraries no longer have is a null pointer here: its first use ends the process. Objects are
 * released before this runs, while libraries are set up. */
__attribute__((constructor)) static void find(void) {
  *(void **)&lock = dlsym(RTLD_NEXT, LOCK);
  *(void **)&try_lock = dlsym(RTLD_NEXT, TRY_LOCK);
  *(void **)&unlock = dlsym(RTLD_NEXT, UNLOCK);
  *(void **)&release = dlsym(RTLD_NEXT, "swift_release");
  *(void **)&release_n = dlsym(RTLD_NEXT, "swift_release_n");
  *(void **)&is_unique = dlsym(RTLD_NEXT, "swift_isUniquelyReferenced_nonNull_native");
}

SWIFT void gnomon_mutex_lock(uint32_t thread, SELF) {
  lock(thread, self);
  __tsan_acquire(self);
}

SWIFT bool gnomon_mutex_try_lock(SELF) {
  bool locked = try_lock(self);
  if (locked) __tsan_acquire(self);
  return locked;
}

SWIFT void gnomon_mutex_unlock(SELF) {
  __tsan_release(self);
  unlock(self);
}

/* Not a null pointer, nor a tagged one, for which there is nothing to count. */
static bool is_counted(const void *object) { return (intptr_t)object > 0; }

void swift_release(void *object) {
  if (!release) find();
  if (is_counted(object)) __tsan_release(object);
  release(object);
}

void swift_release_n(void *object, uint32_t count) {
  if (!release_n) find();
  if (is_counted(object)) __tsan_release(object);
  release_n(object, count);
}

bool swift_isUniquelyReferenced_nonNull_native(const void *object) {
  if (!is_unique) find();
  bool unique = is_unique(object);
  if (unique) __tsan_acquire((void *)object);
  return unique;
}
