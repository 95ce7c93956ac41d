#!/bin/sh
# slim.sh PYTHON: remove from its packages what nothing imports or loads at run time, a fifth of the image.
set -eu
python=$1
cd "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
# The runtime once more, for programs in C: Python's module has it linked into itself.
rm onnxruntime/capi/libonnxruntime.so.*
# What converts and quantizes models.
rm -r onnxruntime/transformers onnxruntime/quantization onnxruntime/tools
find numpy -type d -name tests -prune -exec rm -r {} +
# Names for debuggers. Whatever was stripped must still load.
find . \( -name '*.cpython-*.so' -o -name '*.abi3.so' \) -exec strip --strip-unneeded {} + \
  -exec "$python" -c 'import ctypes, sys; [ctypes.CDLL(each) for each in sys.argv[1:]]' {} +
