"""OpenTelemetry: spans of batches and of sampled records, and the worker's metrics, sent over OTLP."""
