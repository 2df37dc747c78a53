/* libmicrohttpd for Swift: no shim beyond the header is needed. */
#pragma once
#include <microhttpd.h>
