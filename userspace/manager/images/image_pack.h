/* SPDX-License-Identifier: Apache-2.0 */
/* Files of layers packed as OCI layers: into the store, or for a caller that reads them. */
#pragma once

#include "manager/content/content_blobs.h"
#include "manager/images/image_requests.h"

/* Packs the layer's files into a blob of the store. *ret_content lacks the chain ids, and its media
 * type is static. Without the lock. */
int image_pack_layer(struct manager *m, const char *layer, enum image_compression compression,
		     struct content_progress *progress, struct record_content *ret_content,
		     struct blob_pin *ret_pin, struct error *e);

/* Packs the record's own layer, which is unpacked first if it is lazy, and passes it to write()
 * piece by piece. A negative return of write() ends it and is returned. -EBUSY: the record may
 * change. Without the lock. */
int image_pack_diff(struct manager *m, const char *id, enum image_compression compression,
		    const struct content_watch *watch,
		    int (*write)(const void *bytes, size_t length, void *user), void *user,
		    struct error *e);
