/* zlib for Swift: no shim beyond the header is needed. */
#pragma once
#include <zlib.h>
