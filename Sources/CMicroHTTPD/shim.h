/* libmicrohttpd for Swift. */
#pragma once
#include <microhttpd.h>

/* MHD_get_connection_info has variable arguments, which Swift cannot call. -1 if there is no socket. */
static inline int gnomon_connection_socket(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info ? info->connect_fd : -1;
}
