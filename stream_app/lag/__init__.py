"""The lag of a whole consumer group, seen from outside: read-only, whoever its members are.

What a consumer says of its own lag stands still when it is stuck, and is gone when it is gone. Here
the brokers are asked, so the figures are true while members are frozen, rebalancing or absent.
"""
