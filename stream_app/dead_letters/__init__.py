"""Dead letters read, mended and replayed: what `stream-app dlq` is made of.

`letter_log` reads them, `resolutions` says which are dealt with, `planning` says what a replay would
do with each and why not, `trial` whether it would pass now, `transactions` sends.
"""
