/* SPDX-License-Identifier: Apache-2.0 */
/* An example for the help of each command. */
#pragma once

/* NULL: there is none. */
const char *cli_examples_find(const char *verb);
