/* SPDX-License-Identifier: Apache-2.0 */
/* What clients do with content: the public header of this room. */
#pragma once

#include "manager/content/content_extract.h"
#include "manager/content/content_progress.h"
