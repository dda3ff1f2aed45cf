/* SPDX-License-Identifier: Apache-2.0 */
#include "heat/heat_html.h"

#include "base/markup.h"
#include "heat/heat_svg.h"

const char heat_html_script[] =
	"'use strict';\n"
	"for (const svg of document.querySelectorAll('svg.heat-picture')) {\n"
	"  const whole = svg.getAttribute('viewBox');\n"
	"  let shown = null;\n"
	"  const show = tile => {\n"
	"    if (!tile || tile === shown) {\n"
	"      svg.setAttribute('viewBox', whole);\n"
	"      shown = null;\n"
	"      return;\n"
	"    }\n"
	"    const b = tile.querySelector('rect:last-of-type').getBBox();\n"
	"    svg.setAttribute('viewBox', [b.x - 2, b.y - 2, b.width + 4, b.height + 4].join(' '));\n"
	"    shown = tile;\n"
	"  };\n"
	"  svg.addEventListener('click', e => show(e.target.closest('g.heat')));\n"
	"  document.addEventListener('keydown', e => { if (e.key === 'Escape') show(null); });\n"
	"}\n";

void heat_html_write(struct strbuf *out, const struct heat_picture *p,
		     const struct heat_caption *caption)
{
	strbuf_append(out,
		      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		      "style-src 'unsafe-inline'; script-src '" HEAT_HTML_SCRIPT_HASH "'\">\n"
		      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
	markup_append(out, caption->subject);
	strbuf_append(out, "</title>\n<style>body{margin:1em;font-family:sans-serif;"
			   "background:#fff;color:#000}svg{width:100%;height:auto;"
			   "max-height:95vh}g.heat{cursor:zoom-in}</style></head>\n<body>\n");
	heat_svg_write(out, p, caption, false);
	strbuf_append(out,
		      "<p>Click to enlarge a layer or folder, and again, or Escape, for all of "
		      "it. Hold the pointer still to read what is there.</p>\n<script>");
	strbuf_append(out, heat_html_script);
	strbuf_append(out, "</script></body></html>\n");
}
