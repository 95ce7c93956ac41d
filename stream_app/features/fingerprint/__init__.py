"""What a declaration is, as data: what its functions do, and what differs between two of them."""
