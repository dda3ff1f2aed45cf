/* SPDX-License-Identifier: Apache-2.0 */
/* What blob_store.c and blob_writer.c share. Only these two include it. */
#pragma once

#include "content/blob_claims.h"

struct blob_store {
	int blobs_fd; /* blobs/sha256 */
	int ingest_fd;
	struct blob_claims claims; /* of names in ingest/ */
};
