/* SPDX-License-Identifier: Apache-2.0 */
/* A picture for a terminal: with colours two points in each character, without one. */
#pragma once

#include "heat/heat_text.h"

struct heat_term {
	unsigned columns, lines; /* of the picture, without caption and legend */
	bool color, utf8;
};

struct heat_measures heat_term_measures(const struct heat_term *term, unsigned depth);
void heat_term_write(struct strbuf *out, const struct heat_picture *p,
		     const struct heat_caption *caption, const struct heat_term *term);
