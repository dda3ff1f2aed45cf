/* SPDX-License-Identifier: Apache-2.0 */
/* What clients ask of import and export, and what they are told afterwards. All texts are borrowed;
 * paths are absolute. */
#pragma once

#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

enum image_compression {
	IMAGE_USUAL_COMPRESSION, /* gzip for images, none for a plain tar */
	IMAGE_GZIP,
	IMAGE_ZSTD,
	IMAGE_UNCOMPRESSED,
};

struct image_import_options {
	const char *source; /* see image/image_reference.h */
	bool lazy; /* make no files now; fetch no blobs of layers from a registry either */
	struct content_watch watch;
};

struct image_export_options {
	const char *id;
	const char *destination; /* see image/image_reference.h */
	enum image_compression compression; /* of layers that have no blob yet */
	struct content_watch watch;
};

struct image_summary {
	char id[RECORD_ID_LENGTH + 1];
	char manifest[72]; /* its digest; "" of a plain tar */
	uint64_t layers, new_layers;
	int64_t bytes; /* that were copied, fetched or packed */
};
