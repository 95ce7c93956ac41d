"""The page that people look at: how a worker does, or consumer groups seen from outside.

`worker_status.py` says what is known of a worker and keeps its last minutes, `problems.py` what is
wrong with it, `routes.py` serves it. `stream_app/lag/fleet_status.py` does the same for groups.
"""
