/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

enum tar_compression { TAR_COMPRESSION_NONE, TAR_COMPRESSION_GZIP, TAR_COMPRESSION_ZSTD };
