/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_exit.h"

#include <errno.h>

enum cli_exit cli_exit_from_errno(int code)
{
	switch (-code) {
	case 0:
		return CLI_EXIT_DONE;
	case ECONNRESET:
	case ECONNREFUSED:
	case ECONNABORTED:
	case EPIPE:
		return CLI_EXIT_UNREACHABLE;
	case ENOENT:
		return CLI_EXIT_NOT_FOUND;
	case EBUSY:
	case EEXIST:
	case ENOTEMPTY:
		return CLI_EXIT_CONFLICT;
	case EPERM:
	case EACCES:
		return CLI_EXIT_PERMISSION;
	default:
		return CLI_EXIT_FAILED;
	}
}
