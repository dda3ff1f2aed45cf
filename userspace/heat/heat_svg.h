/* SPDX-License-Identifier: Apache-2.0 */
/* A picture as SVG, for files and within pages. It has no scripts and no style sheets, so that a
 * strict Content-Security-Policy lets it be. */
#pragma once

#include "heat/heat_text.h"

/* What suits a picture on a screen. */
struct heat_measures heat_svg_measures(unsigned depth);
/* `standalone`: a file of its own, and not a part of HTML. */
void heat_svg_write(struct strbuf *out, const struct heat_picture *p,
		    const struct heat_caption *caption, bool standalone);
