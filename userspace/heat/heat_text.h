/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a picture: labels, tooltips, and the line above it. They are as the file system and
 * clients have them, and not yet escaped. */
#pragma once

#include "base/strbuf.h"
#include "heat/heat_picture.h"

/* What a picture is of, for the lines around it. Texts are borrowed. */
struct heat_caption {
	const char *subject; /* "record 7z0p…", "the store" */
	const char *backend; /* that counts */
	int64_t now_ns; /* from when ages are counted */
	bool incomplete; /* accesses were lost: some reads are not known */
};

/* What names the tile within the one around it. */
void heat_text_label(struct strbuf *out, const struct heat_tile *tile);
/* Several lines. */
void heat_text_tooltip(struct strbuf *out, const struct heat_tile *tile);
void heat_text_caption(struct strbuf *out, const struct heat_picture *p,
		       const struct heat_caption *caption);
