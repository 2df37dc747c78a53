/* ISA-L's CRC-32C for Swift: no shim beyond the header is needed. */
#pragma once
#include <isa-l/crc.h>
