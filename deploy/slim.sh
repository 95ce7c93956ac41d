#!/bin/sh
# slim.sh SITE_PACKAGES: remove what nothing at run time imports or loads, a sixth of the image.
set -eu
cd "$1"
# The runtime once more, for programs in C: Python's module has it linked into itself.
rm onnxruntime/capi/libonnxruntime.so.*
# What converts and quantizes models.
rm -r onnxruntime/transformers onnxruntime/quantization onnxruntime/tools
find . -type d -name tests -path './numpy/*' -prune -exec rm -r {} +
