"""The feature library: events, views, states, and the engine that is the same online and offline."""
