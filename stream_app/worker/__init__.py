"""The worker: the Faust app, its process, the pipeline, and the place where all is put together."""
