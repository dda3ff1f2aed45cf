/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_status.h"

#include <errno.h>
#include <stddef.h>

#include "base/cleanup.h"

struct status_row {
	int status;
	int error; /* a positive errno */
};

/* A client turns a status into the errno of its first row. */
static const struct status_row rows[] = {
	{ 1, ECANCELED }, /* CANCELLED */
	{ 3, EINVAL }, /* INVALID_ARGUMENT */
	{ 3, E2BIG },	  { 4, ETIMEDOUT }, /* DEADLINE_EXCEEDED */
	{ 5, ENOENT }, /* NOT_FOUND */
	{ 6, EEXIST }, /* ALREADY_EXISTS */
	{ 7, EPERM }, /* PERMISSION_DENIED */
	{ 7, EACCES },	  { 8, ENOSPC }, /* RESOURCE_EXHAUSTED */
	{ 8, EDQUOT },	  { 8, EMFILE },      { 8, EMSGSIZE },
	{ 9, EBUSY }, /* FAILED_PRECONDITION */
	{ 9, ENOTEMPTY }, { 12, EOPNOTSUPP }, /* UNIMPLEMENTED */
	{ 12, ENOSYS },	  { 13, EIO }, /* INTERNAL: this host's or this program's fault, not the
					  request's */
	{ 13, ENOMEM },	  { 13, EPROTO },     { 13, EBADMSG },
	{ 14, EAGAIN }, /* UNAVAILABLE */
	{ 14, ENODATA }, /* the server that has it cannot be reached */
};

#define STATUS_UNKNOWN 2

/* Statuses that only other servers send. */
static const struct status_row foreign_rows[] = {
	{ 10, EAGAIN }, /* ABORTED: lost a race, to be tried again */
	{ 11, ERANGE }, /* OUT_OF_RANGE */
	{ 15, EBADMSG }, /* DATA_LOSS */
	{ 16, EACCES }, /* UNAUTHENTICATED */
};

int grpc_status_from_errno(int code)
{
	if (code == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].error == -code)
			return rows[i].status;
	return STATUS_UNKNOWN;
}

int grpc_status_to_errno(int status)
{
	if (status == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].status == status)
			return -rows[i].error;
	for (size_t i = 0; i < ARRAY_SIZE(foreign_rows); i++)
		if (foreign_rows[i].status == status)
			return -foreign_rows[i].error;
	return -EIO;
}
