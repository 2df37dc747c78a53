/* liburing for Swift.
 *
 * <features.h> must come first: without it a clean build fails on fd_set.
 * The gnomon_ names below exist because Swift cannot import macros that shift by an enumerator. */
#pragma once
#include <features.h>
#include <liburing.h>

static const unsigned char gnomon_sqe_fixed_file = IOSQE_FIXED_FILE;
static const unsigned char gnomon_sqe_link = IOSQE_IO_LINK;
