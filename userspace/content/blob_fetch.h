/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches content from registries and uploads it. The network is left to varve-fetch, an
 * unprivileged process for each transfer, and its output is verified here. A digest that several
 * threads fetch at once is transferred once.
 */
#pragma once

#include "content/blob_store.h"
#include "content/fetch_control.h"

/* The manifest or index behind a tag or a digest; one asked for by digest is verified. *ret_bytes
 * and *ret_media_type ("" when the registry sends none) are the caller's to free. -ENOENT, -EACCES,
 * -EBADMSG, -ETIMEDOUT, -ECONNREFUSED …; the text names the registry and the reference. */
int fetch_manifest(const struct fetch_control *control, const struct fetch_source *source,
		   const char *tag_or_digest, void **ret_bytes, size_t *ret_length,
		   char **ret_media_type, struct digest *ret_digest, struct error *e);
/* Fetches the blob into the store, resuming a partial one; returns 0 at once when it is there. */
int fetch_blob(const struct fetch_control *control, struct blob_store *store,
	       const struct fetch_source *source, const struct digest *digest, int64_t size_bytes,
	       struct error *e);
/* Uploads a blob, unless the registry has it; push_manifest() comes after all blobs. */
int push_blob(const struct fetch_control *control, struct blob_store *store,
	      const struct fetch_source *source, const struct digest *digest, struct error *e);
int push_manifest(const struct fetch_control *control, const struct fetch_source *source,
		  const char *tag, const char *media_type, const void *bytes, size_t length,
		  struct error *e);
