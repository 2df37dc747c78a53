/* liburing for Swift.
 *
 * <features.h> must come first: without it a clean build fails on fd_set.
 * The gnomon_ names below exist because Swift cannot import macros that shift by an enumerator or name one,
 * nor RWF_DSYNC without _GNU_SOURCE. */
#pragma once
#include <features.h>
#include <liburing.h>
#include <sys/socket.h>

static const unsigned char gnomon_sqe_fixed_file = IOSQE_FIXED_FILE;
static const int gnomon_write_durable = 0x2; /* RWF_DSYNC */
static const unsigned gnomon_send_flags = MSG_NOSIGNAL | MSG_WAITALL;
/* The kernel writes these flags whenever it likes: a relaxed atomic load. */
static inline unsigned gnomon_sq_flags(const struct io_uring *ring) {
    return __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED);
}
/* Tells the processor that this is a loop that waits: saves power, and leaves more to the core's other thread. */
static inline void gnomon_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
