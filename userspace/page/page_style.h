/* SPDX-License-Identifier: Apache-2.0 */
/* The style sheet of all pages: dark and light as the reader's system is, and for paper. */
#pragma once

extern const char page_style[];
