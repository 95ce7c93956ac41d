"""``python -m benchmarks``: the worker beside the in-process work alone."""

from benchmarks.throughput import main

if __name__ == "__main__":
    main()
