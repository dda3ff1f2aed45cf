/* SPDX-License-Identifier: Apache-2.0 */
/* Images, and plain tars, into records. */
#pragma once

#include "manager/content/content_progress.h"
#include "manager/state/lease_table.h"

struct image_import_options {
	const char *source; /* see image/image_reference.h; paths absolute */
	bool lazy; /* no files now; of a registry no blobs either */
	struct content_watch watch;
};

struct image_summary {
	char id[RECORD_ID_LENGTH + 1];
	char manifest[72]; /* its digest; "" of a plain tar */
	uint64_t layers, new_layers;
	int64_t bytes; /* that were copied, fetched or packed */
};

/* The holder holds the top record of the image. */
int image_import(struct manager *m, const struct image_import_options *options,
		 const struct lease_holder *holder, struct image_summary *ret_summary,
		 struct error *e);
