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
