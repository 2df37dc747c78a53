/* Tells ThreadSanitizer about Swift's Mutex.
 *
 * Mutex is a futex whose uncontended paths are compiled into the caller, where the sanitizer sees their
 * atomics. The contended paths are in the standard library, which is not instrumented: it would miss that
 * one thread's critical section comes after another's, and report what the mutex protects. These functions
 * come before the library's, call them, and say what they have done. */
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

/* A name that the library no longer has is a null pointer here: the first contention ends the process. */
__attribute__((constructor)) static void find(void) {
  *(void **)&lock = dlsym(RTLD_NEXT, LOCK);
  *(void **)&try_lock = dlsym(RTLD_NEXT, TRY_LOCK);
  *(void **)&unlock = dlsym(RTLD_NEXT, UNLOCK);
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
